//! Inserting and ejecting, by the actions and by a PATCH for clients of BMCs that have no actions.
//!
//! What is inserted already is fine, and so is ejecting what is not there; another image takes the place of the one that is in. A drive
//! that fetches an image answers other inserts with 503. An insert changes neither the power nor the boot override; a start
//! that is asked for meanwhile waits for it.

use bmc_core::account::Secret;
use bmc_core::fleet::MachineHandle;
use bmc_core::media::{
    IMAGE_URI_MAX_BYTES, InsertMedia, MEDIA_CREDENTIAL_MAX_BYTES, MediaRequest, MediaSlot, Transfer,
    TransferMethod,
};
use bmc_core::request::{Change, Request};
use bmc_core::settings::Edit;
use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{METHODS, Tree, render, slot_of};
use crate::error::{About, Asked, Problem, request_problem};
use crate::etag;
use crate::message::{self, Message};
use crate::patch::{self, Faults};
use crate::resource::action::Parameters;
use crate::resource::{Call, Reply, Uris, write};
use crate::secret;
use crate::service::resource_id;

const INSERT: &str = "VirtualMedia.InsertMedia";
const EJECT: &str = "VirtualMedia.EjectMedia";

/// The values of `TransferProtocolType` that are spoken, and the schemes of their URIs.
pub(super) const PROTOCOLS: [(&str, &str); 2] = [("HTTP", "http"), ("HTTPS", "https")];

/// The `TransferProtocolType` of an image's URI; none for a file of this host.
pub(super) fn protocol_of(image: &str) -> Option<&'static str> {
    let scheme = image.split_once(':')?.0.to_ascii_lowercase();
    PROTOCOLS.iter().find(|(_, known)| *known == scheme).map(|(name, _)| *name)
}

/// What a client wants inserted, as it says it.
#[derive(Debug, Default)]
struct Wanted {
    image: String,
    username: Option<String>,
    password: Option<String>,
    write_protected: Option<bool>,
    method: Option<TransferMethod>,
    protocol: Option<&'static str>,
    inserted: Option<bool>,
}

/// What is wrong with it: with which member, and why.
enum Wrong {
    TooLong(&'static str, usize),
    /// No URI.
    Format,
    /// A protocol that is not spoken.
    Protocol(String),
    /// What fits neither the drive nor the rest.
    Unfit(&'static str, String),
}

impl Wanted {
    /// The request; or all that is wrong.
    fn request(&self, slot: MediaSlot) -> Result<InsertMedia, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let mut bounded = |name, text: Option<&str>, max| {
            if text.is_some_and(|text| text.len() > max) {
                wrong.push(Wrong::TooLong(name, max));
            }
        };
        bounded("Image", Some(&self.image), IMAGE_URI_MAX_BYTES);
        bounded("UserName", self.username.as_deref(), MEDIA_CREDENTIAL_MAX_BYTES);
        bounded("Password", self.password.as_deref(), MEDIA_CREDENTIAL_MAX_BYTES);
        let split = split(&self.image, self.protocol);
        match &split {
            None => wrong.push(Wrong::Format),
            Some(Source { scheme, .. }) if scheme != "file" && !is_spoken(scheme) => {
                wrong.push(Wrong::Protocol(scheme.clone()));
            }
            Some(Source { scheme, .. }) => {
                if let Some(protocol) = self.protocol
                    && !PROTOCOLS.contains(&(protocol, scheme.as_str()))
                {
                    wrong.push(Wrong::Unfit("TransferProtocolType", protocol.to_owned()));
                }
            }
        }
        if self.inserted == Some(false) {
            wrong.push(Wrong::Unfit("Inserted", "false".to_owned()));
        }
        if self.write_protected == Some(false) && slot == MediaSlot::Cd {
            wrong.push(Wrong::Unfit("WriteProtected", "false".to_owned()));
        }
        // With a password and no name there is nobody whose password it would be.
        let named = self.username.is_some() || split.as_ref().is_some_and(|source| source.username.is_some());
        if self.password.as_ref().is_some_and(|password| !password.is_empty()) && !named {
            wrong.push(Wrong::Unfit("Password", "***".to_owned()));
        }
        match split {
            Some(source) if wrong.is_empty() => Ok(InsertMedia {
                slot,
                image: source.image,
                username: self.username.clone().or(source.username).filter(|name| !name.is_empty()),
                password: self.password.clone().or(source.password).map(Secret::new),
                write_protected: self.write_protected.unwrap_or(true),
                method: self.method.unwrap_or_default(),
                transfer: Transfer::default(),
            }),
            _ => Err(wrong),
        }
    }
}

fn is_spoken(scheme: &str) -> bool {
    PROTOCOLS.iter().any(|(_, known)| *known == scheme)
}

/// A URI taken apart.
struct Source {
    scheme: String,
    /// Without user and password.
    image: String,
    username: Option<String>,
    password: Option<String>,
}

/// Takes a URI apart. `HOST/PATH` without a scheme is completed where the protocol was named; `None` for what is no URI.
fn split(image: &str, protocol: Option<&str>) -> Option<Source> {
    if image.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return None;
    }
    let named = PROTOCOLS.iter().find(|(name, _)| Some(*name) == protocol).map(|(_, scheme)| *scheme);
    let (scheme, rest) = match image.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => (named?.to_owned(), image),
    };
    let is_scheme = scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let has_place = if scheme == "file" { path.starts_with('/') } else { !host.is_empty() };
    if !is_scheme || !has_place {
        return None;
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned());
    let (username, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
        Some((name, password)) => (Some(decoded(name)?), Some(decoded(password)?)),
        None => (None, None),
    };
    Some(Source { image: format!("{scheme}://{host}{path}"), scheme, username, password })
}

/// `VirtualMedia.InsertMedia`.
pub(super) async fn insert(call: &Call<'_>, tree: Tree) -> Result<Reply, Problem> {
    let machine = call.service.machine(tree.kind(), call.id)?;
    let slot = slot_of(call)?;
    let mut parameters = Parameters::new(INSERT, &call.body);
    let image = parameters.required("Image").and_then(|value| parameters.string("Image", value));
    let inserted = parameters.optional("Inserted").and_then(|value| parameters.boolean("Inserted", value));
    let write_protected =
        parameters.optional("WriteProtected").and_then(|value| parameters.boolean("WriteProtected", value));
    let username = parameters.optional("UserName").and_then(|value| parameters.string("UserName", value));
    let password = parameters.optional("Password").and_then(|value| parameters.hidden("Password", value));
    let method = parameters
        .optional("TransferMethod")
        .and_then(|value| parameters.choice("TransferMethod", value, &METHODS));
    let protocols = PROTOCOLS.map(|(name, _)| (name, name));
    let protocol = parameters
        .optional("TransferProtocolType")
        .and_then(|value| parameters.choice("TransferProtocolType", value, &protocols));
    let wanted = image.map(|image| Wanted {
        image: image.to_owned(),
        username: username.map(str::to_owned),
        password: password.map(str::to_owned),
        write_protected,
        method,
        protocol,
        inserted,
    });
    let wanted = wanted.map(|wanted| wanted.request(slot));
    let request = match wanted {
        Some(Ok(request)) => Some(request),
        Some(Err(wrong)) => {
            for fault in wrong {
                parameters.push(parameter_fault(fault, image.unwrap_or_default()));
            }
            None
        }
        None => None,
    };
    parameters.end()?;
    let request = request.ok_or_else(Problem::internal)?;
    carry_out(call, machine, MediaRequest::Insert(Box::new(request)), INSERT).await
}

/// A URI as an answer may show it.
fn bare(image: &str) -> String {
    secret::without_userinfo(image).unwrap_or_else(|| image.to_owned())
}

fn parameter_fault(wrong: Wrong, image: &str) -> Message {
    let image = &*bare(image);
    match wrong {
        Wrong::TooLong(name, max) => {
            let shown = if name == "Image" { image } else { "***" };
            Message::new(message::StringValueTooLong, [shown, &max.to_string()]).about(&format!("/{name}"))
        }
        Wrong::Format => {
            Message::new(message::ActionParameterValueFormatError, [image, "Image", INSERT]).about("/Image")
        }
        Wrong::Protocol(scheme) => {
            Message::new(message::SourceDoesNotSupportProtocol, [image, &scheme]).about("/Image")
        }
        Wrong::Unfit(name, value) => {
            Message::new(message::ActionParameterValueConflict, [name, &value]).about(&format!("/{name}"))
        }
    }
}

/// `VirtualMedia.EjectMedia`.
pub(super) async fn eject(call: &Call<'_>, tree: Tree) -> Result<Reply, Problem> {
    let machine = call.service.machine(tree.kind(), call.id)?;
    let slot = slot_of(call)?;
    Parameters::new(EJECT, &call.body).end()?;
    carry_out(call, machine, MediaRequest::Eject(slot), EJECT).await
}

/// Asks the machine and waits, with a task when it takes long. What the machine was asked for goes on whatever becomes of the task: an
/// insert is ended by ejecting.
async fn carry_out(
    call: &Call<'_>,
    machine: MachineHandle,
    request: MediaRequest,
    action: &'static str,
) -> Result<Reply, Problem> {
    let joins = match &request {
        MediaRequest::Insert(insert) => Some((key(insert), insert.transfer.clone())),
        MediaRequest::Eject(_) => None,
    };
    let transfer = joins.as_ref().map(|(_, transfer)| transfer.clone());
    let work = |progress: crate::tasks::Progress| async move {
        let _ = progress.commit();
        transfer.into_iter().for_each(|transfer| progress.transfer(transfer));
        match machine.request(Request::Media(request)).await {
            Ok(_) => Ok(Reply::empty(StatusCode::NO_CONTENT)),
            Err(error) => {
                let snapshot = machine.snapshot();
                let (uri, id) = (Uris::of(&snapshot).system, resource_id(&snapshot));
                Err(request_problem(&error, About { asked: Asked::Action(action), uri: &uri, id: &id }))
            }
        }
    };
    let tasks = &call.service.tasks;
    match joins {
        // It ends the inserts that may have taken all places.
        None => tasks.run_even_if_full(call, "Eject virtual media", work).await,
        Some((key, _)) => tasks.run_or_join(call, "Insert virtual media", key, work).await,
    }
}

/// What makes two inserts the same: the machine joins them, so their tasks are one.
fn key(insert: &InsertMedia) -> String {
    let InsertMedia { slot, image, username, password, write_protected, method, transfer: _ } = insert;
    // Not the password itself: keys are no secrets.
    let password = password.as_ref().map(|password| hex::encode(Sha256::digest(password.expose())));
    format!("{:?}", (slot, image, username, password, write_protected, method))
}

/// What a PATCH asks for.
enum Patched {
    Insert(Box<InsertMedia>),
    Eject,
    Nothing,
}

/// A PATCH: `VerifyCertificate`, and for clients of BMCs without the actions what is inserted.
pub(super) async fn patch(call: &Call<'_>, tree: Tree) -> Result<Reply, Problem> {
    let machine = call.service.machine(tree.kind(), call.id)?;
    let slot = slot_of(call)?;
    let shown = render(&machine.snapshot(), tree, slot);
    if !etag::may_write(call.headers, &etag::of(&shown)) {
        return Err(Problem::precondition_failed());
    }
    let (verify, patched) = read(call, slot, &shown)?;
    let changed = match verify {
        None => Reply::empty(StatusCode::NO_CONTENT),
        Some(verify) => {
            let edit = Edit::new(move |editable| {
                editable.settings.media.drive_mut(slot).verify_certificate = verify;
                Ok(())
            });
            let plan = |_: &_, _: &_| Ok(Change { edit: Some(edit.clone()), ..Change::default() });
            write::change(call, &machine, |snapshot| render(snapshot, tree, slot), plan).await?
        }
    };
    match patched {
        Patched::Nothing => Ok(changed),
        Patched::Insert(insert) => carry_out(call, machine, MediaRequest::Insert(insert), INSERT).await,
        Patched::Eject => carry_out(call, machine, MediaRequest::Eject(slot), EJECT).await,
    }
}

fn read(call: &Call<'_>, slot: MediaSlot, shown: &Value) -> Result<(Option<bool>, Patched), Problem> {
    patch::read(&call.body, |faults| {
        let (mut verify, mut wanted, mut image) = (None, Wanted::default(), None);
        let mut others: Vec<String> = Vec::new();
        patch::each_property(&call.body, shown, "", faults, |name, pointer, value, faults| {
            match name {
                "VerifyCertificate" => verify = faults.boolean(pointer, value),
                "Image" => {
                    image = faults.nullable_string(pointer, value).map(|text| text.map(str::to_owned));
                }
                "Inserted" => wanted.inserted = faults.boolean(pointer, value),
                "WriteProtected" => wanted.write_protected = faults.boolean(pointer, value),
                "UserName" => {
                    let text = faults.nullable_string(pointer, value).flatten();
                    wanted.username = text.map(str::to_owned);
                }
                "Password" => {
                    let text = faults.nullable_hidden(pointer, value).flatten();
                    wanted.password = text.map(str::to_owned);
                }
                "TransferMethod" => {
                    wanted.method = optional(value).and_then(|value| faults.choice(pointer, value, &METHODS))
                }
                "TransferProtocolType" => {
                    let protocols = PROTOCOLS.map(|(name, _)| (name, name));
                    wanted.protocol =
                        optional(value).and_then(|value| faults.choice(pointer, value, &protocols));
                }
                _ => return false,
            }
            if !matches!(name, "VerifyCertificate" | "Image" | "Inserted") && !value.is_null() {
                others.push(pointer.to_owned());
            }
            true
        });
        let image = image.map(|image| image.filter(|image| !image.is_empty()));
        let is_in = shown.get("Inserted").is_some_and(|inserted| *inserted == true);
        let patched = match (image, wanted.inserted) {
            (Some(Some(image)), _) => {
                wanted.image.clone_from(&image);
                match wanted.request(slot) {
                    Ok(request) => Patched::Insert(Box::new(request)),
                    Err(wrong) => {
                        wrong.into_iter().for_each(|fault| faults.push(property_fault(fault, &image)));
                        Patched::Nothing
                    }
                }
            }
            (Some(None), Some(true)) => conflict(faults, "/Inserted"),
            (None, Some(true)) if !is_in => conflict(faults, "/Inserted"),
            (Some(None), _) | (None, Some(false)) => Patched::Eject,
            // How something is transferred says nothing while nothing is to be.
            (None, _) => match others.first().filter(|_| faults.is_empty()) {
                Some(pointer) => conflict(faults, pointer),
                None => Patched::Nothing,
            },
        };
        ((verify, patched), true)
    })
}

fn optional(value: &Value) -> Option<&Value> {
    (!value.is_null()).then_some(value)
}

fn conflict(faults: &mut Faults, pointer: &str) -> Patched {
    let fault = Message::new(message::PropertyValueConflict, [pointer, "/Image"]).about(pointer);
    faults.push(fault.resolution("Send Image in the same request."));
    Patched::Nothing
}

fn property_fault(wrong: Wrong, image: &str) -> Message {
    let image = &*bare(image);
    match wrong {
        Wrong::TooLong(name, max) => {
            let shown = if name == "Image" { image } else { "***" };
            Message::new(message::StringValueTooLong, [shown, &max.to_string()]).about(&format!("/{name}"))
        }
        Wrong::Format => Message::new(message::PropertyValueFormatError, [image, "/Image"]).about("/Image"),
        Wrong::Protocol(scheme) => {
            Message::new(message::SourceDoesNotSupportProtocol, [image, &scheme]).about("/Image")
        }
        Wrong::Unfit(name, _) => {
            let pointer = format!("/{name}");
            Message::new(message::PropertyValueConflict, [pointer.as_str(), "/Image"]).about(&pointer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_taken_apart() {
        let apart = |image, protocol| {
            split(image, protocol).map(|source| (source.image, source.username, source.password))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(apart("http://h/a.iso?x=@", None), Some(("http://h/a.iso?x=@".to_owned(), None, None)));
        assert_eq!(
            apart("HTTPS://u%40x:p%3a@h:1/a", None),
            Some(("https://h:1/a".to_owned(), some("u@x"), some("p:")))
        );
        assert_eq!(apart("h/a.iso", Some("HTTP")), Some(("http://h/a.iso".to_owned(), None, None)));
        assert_eq!(apart("file:///srv/a", None), Some(("file:///srv/a".to_owned(), None, None)));
        for nonsense in [
            "",
            "h/a.iso",
            "http://",
            "http://@/x",
            "file://",
            "://x",
            "1://x",
            "http://h/a b",
            "http://h/\n",
        ] {
            assert!(split(nonsense, None).is_none(), "{nonsense:?}");
        }
    }
}
