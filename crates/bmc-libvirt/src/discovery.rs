//! Which domains there are, for whoever gives BMCs to some of them.
//!
//! Nobody follows: no work. Somebody follows: everything is asked for once after each (re)connection, and after an event about a domain
//! only that one. Looks are made one after the other on a task of their own, so an older answer never overwrites a newer one; those that have come together
//! meanwhile are one call.

use std::collections::BTreeSet;
use std::sync::Weak;
use std::time::{Duration, Instant};

use bmc_core::discovery::{Found, Listing, Mark};
use bmc_core::error::BackendErrorKind;
use roxmltree::Node;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::{Error, ErrorNumber};
use virt_sys as c;

use crate::connection::{CALL_TIMEOUT, Caller, Failure};
use crate::error::from_libvirt;
use crate::hub::{Hub, REFRESH_AGAIN};
use crate::xml::read;

/// How many domains are asked for in one call: over a network each is a round trip, and all must be done within the call's time-out.
const DOMAINS_PER_CALL: usize = 100;
/// After how long a call is content with what it has, so that a slow network gets there in several.
const LOOK_LIMIT: Duration = Duration::from_secs(5);
/// How often domains that could not be read are tried again.
const UNREADABLE_AGAIN: Duration = Duration::from_secs(60);
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
    /// Whether those that there are have been added to `some`, since all were wanted.
    listed: bool,
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

/// What a look at a domain told; `None`: there is none.
type Answer<E> = (Uuid, Result<Option<Found>, E>);

async fn keep_listing(
    hub: Weak<Hub>,
    caller: Caller,
    mut asked: mpsc::UnboundedReceiver<Look>,
    listing: watch::Sender<Listing>,
) {
    let mut batch = Batch::default();
    let mut unreadable = BTreeSet::new();
    loop {
        let look = if unreadable.is_empty() {
            asked.recv().await
        } else {
            let again = tokio::time::timeout(UNREADABLE_AGAIN, asked.recv()).await;
            again.unwrap_or_else(|_| unreadable.first().copied().map(Look::At))
        };
        let Some(look) = look else { return };
        batch.some.extend(&unreadable);
        batch.add(look);
        loop {
            while let Ok(look) = asked.try_recv() {
                batch.add(look);
            }
            match answer(&caller, &mut batch, &mut unreadable, &listing).await {
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

/// Asks for what the batch wants, and takes it out of the batch as it is answered. One domain that cannot be read is no reason to know nothing of
/// the others: it stays as it was, and is `unreadable`.
async fn answer(
    caller: &Caller,
    batch: &mut Batch,
    unreadable: &mut BTreeSet<Uuid>,
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
        (batch.all, batch.listed) = (false, true);
    }
    while !batch.some.is_empty() {
        let part: Vec<Uuid> = batch.some.iter().take(DOMAINS_PER_CALL).copied().collect();
        let look = move |connect: &Connect| {
            let until = Instant::now() + LOOK_LIMIT;
            look_at(&part, || Instant::now() >= until, is_about_the_domain, |uuid| find(connect, uuid))
        };
        let answers = caller.call(CALL_TIMEOUT, "tell what there is", look).await.map_err(told)?;
        for (uuid, answer) in &answers {
            batch.some.remove(uuid);
            match answer {
                Ok(_) => {
                    unreadable.remove(uuid);
                }
                Err(error) => {
                    if unreadable.insert(*uuid) {
                        let error = from_libvirt(caller.uri(), error);
                        tracing::warn!(uri = caller.uri(), %uuid, %error, "a domain cannot be read; whether it has a BMC stays as it is");
                    }
                }
            }
        }
        listing.send_if_modified(|listing| tell(listing, answers));
    }
    let listed = std::mem::take(&mut batch.listed);
    listing.send_if_modified(|listing| listed && !std::mem::replace(&mut listing.known, true));
    Ok(())
}

/// Puts what was answered into the listing. Whether that changes it.
fn tell<E>(listing: &mut Listing, answers: Vec<Answer<E>>) -> bool {
    let mut changed = false;
    for (uuid, answer) in answers {
        changed |= match answer {
            Ok(Some(found)) => {
                listing.machines.get(&uuid) != Some(&found) && {
                    listing.machines.insert(uuid, found);
                    true
                }
            }
            Ok(None) => listing.machines.remove(&uuid).is_some(),
            Err(_) => false,
        };
    }
    changed
}

/// Asks about one after the other until it is `late`, but about one at least. An error that is not `about_one` of them ends all.
fn look_at<E>(
    wanted: &[Uuid],
    late: impl Fn() -> bool,
    about_one: impl Fn(&E) -> bool,
    find: impl Fn(Uuid) -> Result<Option<Found>, E>,
) -> Result<Vec<Answer<E>>, Failure>
where
    Failure: From<E>,
{
    let mut answers = Vec::new();
    for &uuid in wanted {
        match find(uuid) {
            Err(error) if !about_one(&error) => return Err(error.into()),
            answer => answers.push((uuid, answer)),
        }
        if late() {
            break;
        }
    }
    Ok(answers)
}

/// Whether the next domain may be read all the same.
fn is_about_the_domain(error: &Error) -> bool {
    !matches!(from_libvirt("", error).kind, BackendErrorKind::Unavailable | BackendErrorKind::Timeout)
}

fn find(connect: &Connect, uuid: Uuid) -> Result<Option<Found>, Error> {
    let found = connect
        .lookup_domain_by_uuid(uuid)
        .and_then(|domain| Ok((domain.name()?, domain.id().is_some(), definition(&domain)?)));
    match found {
        Ok((name, active, definition)) => {
            let mark = mark(&definition);
            Ok(Some(Found { name, active, mark }))
        }
        // Also between the two questions.
        Err(error) if error.code().is(ErrorNumber::NoDomain) => Ok(None),
        Err(error) => Err(error),
    }
}

fn definition(domain: &Domain) -> Result<String, Error> {
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
    use bmc_core::error::BackendError;

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

    #[test]
    fn one_domain_that_cannot_be_read_hides_no_other() {
        let [one, two, three] = [1, 2, 3].map(Uuid::from_u128);
        let found = |name: &str| Found { name: name.to_owned(), active: false, mark: None };
        let mut listing =
            Listing { known: true, machines: [(one, found("old")), (two, found("kept"))].into() };
        let refusal = || BackendError::new(BackendErrorKind::PermissionDenied, "not yours".to_owned());
        let find = |uuid| if uuid == two { Err(refusal()) } else { Ok(Some(found("new"))) };
        let about_one = |error: &BackendError| error.kind != BackendErrorKind::Unavailable;
        let answers = look_at(&[one, two, three], || false, about_one, find).unwrap();
        assert!(answers.iter().map(|(uuid, _)| *uuid).eq([one, two, three]));
        assert!(tell(&mut listing, answers));
        let now = [(one, found("new")), (two, found("kept")), (three, found("new"))];
        assert_eq!(listing.machines, now.into());

        let lost = |_| Err(BackendError::unavailable("gone".to_owned()));
        assert!(look_at(&[one, two], || false, about_one, lost).is_err(), "a lost connection is no answer");
        let late = look_at(&[one, two, three], || true, about_one, find).unwrap();
        assert_eq!(late.len(), 1, "a slow one tells what it has");
    }
}
