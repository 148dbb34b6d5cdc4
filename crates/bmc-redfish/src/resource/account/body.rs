//! Reading what a POST or PATCH says of an account. The password never comes back in a message.

use bmc_core::account::{Account, LONG_MAX_BYTES, PASSWORD_MAX_BYTES, Role, Secret, USER_NAME_MAX_BYTES};
use serde_json::{Map, Value};

use crate::message::{self, Message};
use crate::patch::{self, Faults};
use crate::privilege::ROLES;

/// Longest password in bytes that every account of a service can have.
pub(super) fn password_max(ipmi: bool) -> usize {
    if ipmi { PASSWORD_MAX_BYTES } else { LONG_MAX_BYTES }
}

/// What is asked of an account; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) role: Option<Role>,
    pub(super) enabled: Option<bool>,
    /// Whether locks are to be lifted.
    pub(super) unlock: bool,
    /// Whether the account may use IPMI.
    pub(super) ipmi: Option<bool>,
    pub(super) must_change_password: Option<bool>,
    strict: Option<bool>,
}

impl Wanted {
    /// Reads a body. `shown` is the account as it is, `{}` for one that is to be made; `has_ipmi` whether accounts here may use IPMI.
    pub(super) fn read(
        body: &Map<String, Value>,
        shown: &Value,
        has_ipmi: bool,
        faults: &mut Faults,
    ) -> (Self, bool) {
        let creating = shown.get("Id").is_none();
        let (mut wanted, mut anything) = (Self::default(), false);
        patch::each_property(body, shown, "", faults, |name, pointer, value, faults| {
            match name {
                "UserName" => wanted.name = faults.string(pointer, value).map(str::to_owned),
                "Password" => wanted.password = read_password(pointer, value, faults),
                "RoleId" => wanted.role = faults.choice(pointer, value, &ROLES),
                "Enabled" => wanted.enabled = faults.boolean(pointer, value),
                "Locked" => match faults.boolean(pointer, value) {
                    Some(true) if shown.get("Locked") != Some(&Value::Bool(true)) => {
                        let fault = Message::new(message::PropertyValueNotInList, ["true", pointer]);
                        faults.push(fault.about(pointer).resolution(
                            "Only wrong passwords lock an account; to keep a user out, set Enabled to false.",
                        ));
                    }
                    Some(locked) => wanted.unlock = !locked,
                    None => {}
                },
                "AccountTypes" => wanted.ipmi = read_types(pointer, value, has_ipmi, faults),
                "PasswordChangeRequired" => wanted.must_change_password = faults.boolean(pointer, value),
                "StrictAccountTypes" if creating => wanted.strict = faults.boolean(pointer, value),
                _ => return false,
            }
            anything = true;
            true
        });
        (wanted, anything)
    }

    /// Names what a new account lacks.
    pub(super) fn require_all(&self, body: &Map<String, Value>, faults: &mut Faults) {
        for name in ["UserName", "Password", "RoleId"] {
            if !body.contains_key(name) {
                let pointer = format!("/{name}");
                let fault = Message::new(message::CreateFailedMissingReqProperties, [&pointer]);
                faults.push(fault.about(&pointer));
            }
        }
    }

    /// Whether a new account may use IPMI. Who says nothing of types gets all that there are, as a service may add some unless it is
    /// told to be strict.
    pub(super) fn new_may_use_ipmi(&self, has_ipmi: bool) -> bool {
        has_ipmi && self.ipmi.unwrap_or(self.strict != Some(true))
    }

    /// Checks name and password by what the account may be used for.
    pub(super) fn check(&self, before: &Account, ipmi: bool, faults: &mut Faults) {
        // Who gets IPMI keeps a name and a password, which have to fit then.
        let newly = ipmi && !before.ipmi_messaging;
        let kept = newly.then_some(&*before.name).filter(|name| !name.is_empty());
        if let Some(name) = self.name.as_deref().or(kept) {
            check_new_name(name, ipmi, faults);
        }
        let kept = newly.then_some(&before.password).filter(|password| !password.expose().is_empty());
        if let Some(password) = self.password.as_ref().or(kept) {
            check_new_password(password, ipmi, faults);
        }
    }

    /// Makes the account so.
    pub(super) fn put(&self, account: &mut Account) {
        if let Some(name) = &self.name {
            account.name.clone_from(name);
        }
        if let Some(password) = &self.password {
            account.password = password.clone();
            account.password_size = None;
            account.password_change_required = false;
        }
        account.role = self.role.unwrap_or(account.role);
        account.enabled = self.enabled.unwrap_or(account.enabled);
        account.ipmi_messaging = self.ipmi.unwrap_or(account.ipmi_messaging);
        account.password_change_required =
            self.must_change_password.unwrap_or(account.password_change_required);
    }
}

/// The password's type alone may be told to be at fault: its value must not come back.
fn read_password(pointer: &str, value: &Value, faults: &mut Faults) -> Option<Secret> {
    let password = value.as_str().map(Secret::new);
    if password.is_none() {
        let fault = Message::new(message::PropertyValueError, [pointer]).about(pointer);
        faults.push(fault.resolution("Send the password as a string."));
    }
    password
}

/// Whether the types have IPMI among them.
fn read_types(pointer: &str, value: &Value, has_ipmi: bool, faults: &mut Faults) -> Option<bool> {
    let Some(list) = value.as_array() else {
        faults.wrong_type(pointer, value);
        return None;
    };
    let (mut redfish, mut ipmi) = (false, false);
    for (at, one) in list.iter().enumerate() {
        let pointer = format!("{pointer}/{at}");
        match faults.string(&pointer, one) {
            Some("Redfish") => redfish = true,
            Some("IPMI") if has_ipmi => ipmi = true,
            Some(other) => {
                let known = ["Redfish", "IPMI"].into_iter().filter(|known| has_ipmi || *known != "IPMI");
                faults.not_in_list(&pointer, other, known);
            }
            None => {}
        }
    }
    if !redfish {
        let fault = Message::new(message::PropertyValueError, [pointer]).about(pointer);
        faults.push(fault.resolution("Every account may use Redfish: list Redfish too."));
    }
    Some(ipmi)
}

fn check_new_name(name: &str, ipmi: bool, faults: &mut Faults) {
    const POINTER: &str = "/UserName";
    let max = if ipmi { USER_NAME_MAX_BYTES } else { LONG_MAX_BYTES };
    if name.len() > max {
        let fault = Message::new(message::StringValueTooLong, [name, &max.to_string()]).about(POINTER);
        faults.push(fault.resolution(if ipmi { ipmi_limit("names", max) } else { shorter(max) }));
    } else if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        let fault = Message::new(message::PropertyValueFormatError, [name, POINTER]).about(POINTER);
        faults.push(fault.resolution("A user name has printable ASCII characters without spaces."));
    }
}

fn check_new_password(password: &Secret, ipmi: bool, faults: &mut Faults) {
    const POINTER: &str = "/Password";
    let (bytes, max) = (password.expose().as_bytes(), password_max(ipmi));
    if bytes.is_empty() {
        let fault = Message::new(message::PasswordIncorrectLength, []).about(POINTER);
        faults.push(fault.resolution("Send a password that is not empty."));
    } else if bytes.len() > max {
        let fault = Message::new(message::PasswordIncorrectLength, []).about(POINTER);
        faults.push(fault.resolution(if ipmi { ipmi_limit("passwords", max) } else { shorter(max) }));
    } else if bytes.contains(&0) {
        let fault = Message::new(message::PropertyValueError, [POINTER]).about(POINTER);
        faults.push(fault.resolution("A password has no NUL character."));
    }
}

fn ipmi_limit(what: &str, max: usize) -> String {
    format!(
        "The account may use IPMI, which carries {what} of at most {max} bytes: send a shorter one, or leave IPMI out of AccountTypes."
    )
}

fn shorter(max: usize) -> String {
    format!("Send one of at most {max} bytes.")
}
