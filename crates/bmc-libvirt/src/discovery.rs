//! Which domains there are, for whoever gives BMCs to some of them.
//!
//! Nobody follows: no work. Somebody follows: everything is asked for once after each (re)connection, and after an event about a domain
//! only that one. Looks are made one after the other on a task of their own, so an older answer never overwrites a newer one; those that have come together
//! meanwhile are one call.

use std::collections::BTreeSet;
use std::sync::Weak;

use bmc_core::discovery::{Found, Listing, Mark};
use bmc_core::error::BackendErrorKind;
use roxmltree::Node;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::ErrorNumber;
use virt_sys as c;

use crate::connection::{CALL_TIMEOUT, Caller, Failure};
use crate::hub::{Hub, REFRESH_AGAIN};
use crate::xml::read;

/// How many domains are asked for in one call: over a network each is a round trip, and all must be done within the call's time-out.
const DOMAINS_PER_CALL: usize = 100;
/// What `enabled` says in a mark that wants no BMC.
const NOT_WANTED: [&str; 3] = ["no", "false", "0"];

/// What may have changed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Look {
    /// Everything: there is a new connection.
    All,
    /// One domain.
    At(Uuid),
}

/// The way to those who follow.
pub(crate) struct Lister {
    looks: mpsc::UnboundedSender<Look>,
    listing: watch::Sender<Listing>,
}

impl Lister {
    /// Begins with everything. Ends with the hub.
    pub(crate) fn start(hub: Weak<Hub>, caller: Caller, runtime: &tokio::runtime::Handle) -> Self {
        let (looks, asked) = mpsc::unbounded_channel();
        let listing = watch::Sender::new(Listing::default());
        runtime.spawn(keep_listing(hub, caller, asked, listing.clone()));
        let lister = Self { looks, listing };
        lister.look(Look::All);
        lister
    }

    /// Asks anew.
    pub(crate) fn look(&self, look: Look) {
        // Without its task the hub is gone, and with it whoever might want to know.
        let _ = self.looks.send(look);
    }

    /// The listing, followed.
    pub(crate) fn follow(&self) -> watch::Receiver<Listing> {
        self.listing.subscribe()
    }
}

/// Looks that have come together.
#[derive(Debug, Default)]
struct Batch {
    all: bool,
    some: BTreeSet<Uuid>,
}

impl Batch {
    fn add(&mut self, look: Look) {
        match look {
            Look::All => self.all = true,
            Look::At(uuid) => {
                self.some.insert(uuid);
            }
        }
    }
}

async fn keep_listing(
    hub: Weak<Hub>,
    caller: Caller,
    mut asked: mpsc::UnboundedReceiver<Look>,
    listing: watch::Sender<Listing>,
) {
    let mut batch = Batch::default();
    while let Some(look) = asked.recv().await {
        batch.add(look);
        loop {
            while let Ok(look) = asked.try_recv() {
                batch.add(look);
            }
            match answer(&caller, &mut batch, &listing).await {
                Ok(()) => break,
                // The next connection asks for everything.
                Err(BackendErrorKind::Unavailable) => {
                    batch = Batch::default();
                    break;
                }
                Err(_) => {}
            }
            tokio::time::sleep(REFRESH_AGAIN).await;
            if hub.strong_count() == 0 {
                return;
            }
        }
    }
}

/// Asks for what the batch wants, and takes it out of the batch.
async fn answer(
    caller: &Caller,
    batch: &mut Batch,
    listing: &watch::Sender<Listing>,
) -> Result<(), BackendErrorKind> {
    let told = |error: bmc_core::error::BackendError| {
        tracing::debug!(uri = caller.uri(), %error, "the domains could not be listed");
        error.kind
    };
    if batch.all {
        let list = |connect: &Connect| {
            let uuids: Result<Vec<Uuid>, _> =
                connect.list_all_domains(0)?.iter().map(|domain| domain.uuid()).collect();
            Ok(uuids?)
        };
        let there = caller.call(CALL_TIMEOUT, "list the domains", list).await.map_err(told)?;
        // Those that are gone are asked for, too.
        let gone = listing.borrow().machines.keys().copied().collect::<Vec<_>>();
        batch.some.extend(there.into_iter().chain(gone));
    }
    let mut answers: Vec<(Uuid, Option<Found>)> = Vec::new();
    let wanted: Vec<Uuid> = batch.some.iter().copied().collect();
    for part in wanted.chunks(DOMAINS_PER_CALL) {
        let part = part.to_vec();
        let look =
            move |connect: &Connect| part.into_iter().map(|uuid| Ok((uuid, find(connect, uuid)?))).collect();
        let found: Vec<(Uuid, Option<Found>)> =
            caller.call(CALL_TIMEOUT, "tell what there is", look).await.map_err(told)?;
        answers.extend(found);
    }
    let all = batch.all;
    *batch = Batch::default();
    listing.send_if_modified(|listing| {
        let mut changed = all && !listing.known;
        listing.known |= all;
        for (uuid, found) in answers {
            changed |= match found {
                Some(found) => {
                    listing.machines.get(&uuid) != Some(&found) && {
                        listing.machines.insert(uuid, found);
                        true
                    }
                }
                None => listing.machines.remove(&uuid).is_some(),
            };
        }
        changed
    });
    Ok(())
}

fn find(connect: &Connect, uuid: Uuid) -> Result<Option<Found>, Failure> {
    let found =
        connect.lookup_domain_by_uuid(uuid).and_then(|domain| Ok((domain.name()?, definition(&domain)?)));
    match found {
        Ok((name, definition)) => {
            let mark = mark(&definition);
            Ok(Some(Found { name, mark }))
        }
        // Also between the two questions.
        Err(error) if error.code().is(ErrorNumber::NoDomain) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn definition(domain: &Domain) -> Result<String, virt::error::Error> {
    domain.xml_desc(c::VIR_DOMAIN_XML_INACTIVE)
}

/// The mark in a domain's metadata: `<polybmc:bmc xmlns:polybmc='urn:polybmc:bmc:1' .../>`, whatever its prefix.
fn mark(definition: &str) -> Option<Mark> {
    // What cannot be read has no mark, and is told when a BMC is made for it.
    let document = read::parse(definition).ok()?;
    let in_metadata =
        |node: &Node<'_, '_>| node.parent().is_some_and(|parent| parent.has_tag_name("metadata"));
    let mark =
        document.descendants().find(|node| node.has_tag_name((MARK_NS, "bmc")) && in_metadata(node))?;
    let text =
        |name: &str| mark.attribute(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    Some(Mark {
        wanted: !mark.attribute("enabled").is_some_and(|word| NOT_WANTED.contains(&word.trim())),
        name: text("name"),
        ipmi: text("ipmi"),
        redfish: text("redfish"),
    })
}

/// Marks a domain as one that shall have a BMC, or shall have none.
const MARK_NS: &str = "urn:polybmc:bmc:1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_in_the_metadata_and_with_any_prefix() {
        let domain = |inside: &str| format!("<domain><name>a</name>{inside}</domain>");
        let plain = Mark { wanted: true, name: None, ipmi: None, redfish: None };
        let marked = |inner: &str| mark(&domain(&format!("<metadata>{inner}</metadata>")));
        assert_eq!(marked("<polybmc:bmc xmlns:polybmc='urn:polybmc:bmc:1'/>"), Some(plain.clone()));
        assert_eq!(
            marked("<o:x xmlns:o='urn:o'/><bmc xmlns='urn:polybmc:bmc:1'>text</bmc>"),
            Some(plain.clone())
        );
        assert_eq!(marked("<p:bmc xmlns:p='urn:polybmc:bmc:2'/>"), None, "another version");
        assert_eq!(marked("<bmc/>"), None);
        assert_eq!(mark(&domain("<p:bmc xmlns:p='urn:polybmc:bmc:1'/>")), None, "not in the metadata");
        let nested = "<o:x xmlns:o='urn:o'><p:bmc xmlns:p='urn:polybmc:bmc:1'/></o:x>";
        assert_eq!(marked(nested), None, "somebody else's");
        let full =
            "<p:bmc xmlns:p='urn:polybmc:bmc:1' enabled='no' name=' n1 ' ipmi='127.0.0.1:6230' redfish=''/>";
        let wanted = Mark {
            wanted: false,
            name: Some("n1".to_owned()),
            ipmi: Some("127.0.0.1:6230".to_owned()),
            redfish: None,
        };
        assert_eq!(marked(full), Some(wanted));
        assert_eq!(mark("no XML"), None);
    }
}
