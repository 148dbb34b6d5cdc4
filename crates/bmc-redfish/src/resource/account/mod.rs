//! `AccountService`: who may log in, the same people over Redfish and over IPMI; roles, privileges and the lock-out.

mod body;
mod member;
mod privilege_map;
mod role;

use bmc_core::lockout::{FAILURE_WINDOW, FAILURES_MAX, LOCK_TIME};
use bmc_core::request::Change;
use bmc_core::settings::lan::BAD_PASSWORD_TIME_UNIT_SECONDS;
use bmc_core::settings::{BadPasswordThreshold, Edit};
use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::message::{self, Message};
use crate::patch::{self, Faults, shown};
use crate::privilege::Privilege;
use crate::resource::{Call, Reply, link, resource, with, write};
use crate::routes::{Access, Route, delete, get, patch, post};
use crate::schema;
use crate::scope::Scope;

pub(crate) use member::is_way_out;
pub(crate) use member::uri as account_uri;

pub(super) const URI: &str = "/redfish/v1/AccountService";

/// Shortest password that can log in, in bytes.
const PASSWORD_MIN_BYTES: usize = 1;

/// The account service and what is below it.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/AccountService",
        verbs: &[
            get(show, "AccountService"),
            patch(
                Privilege::ConfigureUsers,
                |call| Box::pin(update(call)),
                "the lock-out by user, which is IPMI's LAN parameter 26",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/AccountService/Accounts",
        verbs: &[
            get(member::collection, "ManagerAccountCollection"),
            post(
                Privilege::ConfigureUsers,
                |call| Box::pin(member::create(call)),
                "makes an account in the lowest free place",
            )
            .secret(&["Password"]),
        ],
    },
    Route {
        path: "/redfish/v1/AccountService/Accounts/{id}",
        verbs: &[
            get(member::show, "ManagerAccount").access(Access::OwnOr(Privilege::ConfigureUsers)),
            patch(
                Privilege::ConfigureUsers,
                |call| Box::pin(member::update(call)),
                "`UserName`, `Password`, `RoleId`, `Enabled`, `Locked`, `AccountTypes`, `PasswordChangeRequired`; of one's own: `Password`",
            )
            .access(Access::OwnOr(Privilege::ConfigureUsers))
            .secret(&["Password"]),
            delete(
                Privilege::ConfigureUsers,
                |call| Box::pin(member::remove(call)),
                "ends an account; not that of the last administrator",
            ),
        ],
    },
    Route { path: "/redfish/v1/AccountService/Roles", verbs: &[get(role::collection, "RoleCollection")] },
    Route {
        path: "/redfish/v1/AccountService/Roles/{id}",
        verbs: &[get(role::show, "Role: `Administrator`, `Operator` or `ReadOnly`")],
    },
    Route {
        path: "/redfish/v1/AccountService/PrivilegeMap",
        verbs: &[get(privilege_map::show, "PrivilegeRegistry: which operation needs what")],
    },
];

/// Whether the accounts of a service may use IPMI: those of a BMC; the root over all BMCs has none.
fn has_ipmi(scope: &Scope) -> bool {
    scope.machine().is_some()
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let threshold = call.service.scope.machine().map(|machine| machine.snapshot().settings.lan.bad_password);
    Ok(render(&call.service.scope, threshold))
}

fn render(scope: &Scope, threshold: Option<BadPasswordThreshold>) -> Value {
    let object = resource(schema::ACCOUNT_SERVICE, URI, "AccountService", "Account Service");
    let types = if has_ipmi(scope) { json!(["Redfish", "IPMI"]) } else { json!(["Redfish"]) };
    let mut members = json!({
        "Status": {"State": "Enabled", "Health": "OK"},
        "ServiceEnabled": true,
        "LocalAccountAuth": "Enabled",
        "HTTPBasicAuth": "Enabled",
        "MinPasswordLength": PASSWORD_MIN_BYTES,
        "MaxPasswordLength": body::password_max(has_ipmi(scope)),
        "SupportedAccountTypes": types,
        "Accounts": link(member::COLLECTION_URI),
        "Roles": link(role::COLLECTION_URI),
        "PrivilegeMap": link(privilege_map::URI),
    });
    if let Value::Object(members) = &mut members {
        put_lockout(members, threshold);
    }
    with(object, members)
}

/// The lock-out that acts: the one by user where an administrator has set one, else the one by user and source that is always there.
fn put_lockout(members: &mut Map<String, Value>, threshold: Option<BadPasswordThreshold>) {
    let threshold = in_force(threshold.unwrap_or_default());
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("AccountLockoutThreshold", threshold.threshold.into());
    put("AccountLockoutCounterResetEnabled", (threshold.lockout_interval != 0).into());
    // Zero is "never" to IPMI, and no time at all to Redfish.
    for (name, interval) in [
        ("AccountLockoutDuration", threshold.lockout_interval),
        ("AccountLockoutCounterResetAfter", threshold.count_reset_interval),
    ] {
        if interval != 0 {
            put(name, (u64::from(interval) * BAD_PASSWORD_TIME_UNIT_SECONDS).into());
        }
    }
}

/// What is set; where nothing is, the built-in lock-out in the same terms.
fn in_force(set: BadPasswordThreshold) -> BadPasswordThreshold {
    if set.threshold != 0 {
        return set;
    }
    let units = |seconds: u64| u16::try_from(seconds / BAD_PASSWORD_TIME_UNIT_SECONDS).unwrap_or(u16::MAX);
    BadPasswordThreshold {
        audit: set.audit,
        threshold: u8::try_from(FAILURES_MAX).unwrap_or(u8::MAX),
        count_reset_interval: units(FAILURE_WINDOW.as_secs()),
        lockout_interval: units(LOCK_TIME.as_secs()),
    }
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let scope = &call.service.scope;
    let Some(machine) = scope.machine() else {
        // The root over all BMCs has the built-in lock-out alone, which cannot be changed.
        let shown = render(scope, None);
        patch::read(&call.body, |faults| {
            patch::each_property(&call.body, &shown, "", faults, |_, _, _, _| false);
            ((), false)
        })?;
        return Err(Problem::internal());
    };
    let show = |threshold| render(scope, Some(threshold));
    write::change(
        call,
        machine,
        |snapshot| show(snapshot.settings.lan.bad_password),
        |snapshot, shown| {
            let present = in_force(snapshot.settings.lan.bad_password);
            let wanted = patch::read(&call.body, |faults| read_lockout(&call.body, shown, present, faults))?;
            let edit = Edit::new(move |editable| {
                editable.settings.lan.bad_password = wanted;
                Ok(())
            });
            Ok(Change { edit: Some(edit), ..Change::default() })
        },
    )
    .await
}

fn read_lockout(
    body: &Map<String, Value>,
    shown: &Value,
    present: BadPasswordThreshold,
    faults: &mut Faults,
) -> (BadPasswordThreshold, bool) {
    let mut wanted = present;
    let (mut anything, mut time) = (false, None);
    patch::each_property(body, shown, "", faults, |name, pointer, value, faults| {
        match name {
            "AccountLockoutThreshold" => {
                if let Some(threshold) = read_number(pointer, value, 1..=u64::from(u8::MAX), faults) {
                    wanted.threshold = u8::try_from(threshold).unwrap_or(u8::MAX);
                }
            }
            "AccountLockoutDuration" => {
                time = Some(pointer.to_owned());
                if let Some(interval) = read_interval(pointer, value, faults) {
                    wanted.lockout_interval = interval;
                }
            }
            "AccountLockoutCounterResetAfter" => {
                time = Some(pointer.to_owned());
                if let Some(interval) = read_interval(pointer, value, faults) {
                    wanted.count_reset_interval = interval;
                }
            }
            "AccountLockoutCounterResetEnabled" => match faults.boolean(pointer, value) {
                Some(true) if wanted.lockout_interval == 0 => {
                    let built_in = in_force(BadPasswordThreshold::default());
                    wanted.lockout_interval = built_in.lockout_interval;
                    wanted.count_reset_interval = built_in.count_reset_interval;
                }
                Some(false) => (wanted.lockout_interval, wanted.count_reset_interval) = (0, 0),
                _ => {}
            },
            _ => return false,
        }
        anything = true;
        true
    });
    if let Some(pointer) = time
        && wanted.lockout_interval != 0
        && wanted.count_reset_interval > wanted.lockout_interval
        && faults.is_empty()
    {
        let other = if pointer.ends_with("Duration") {
            "/AccountLockoutCounterResetAfter"
        } else {
            "/AccountLockoutDuration"
        };
        let fault = Message::new(message::PropertyValueConflict, [&*pointer, other]).about(&pointer);
        faults.push(fault.resolution("AccountLockoutDuration is at least AccountLockoutCounterResetAfter."));
    }
    (wanted, anything)
}

fn read_number(
    pointer: &str,
    value: &Value,
    range: std::ops::RangeInclusive<u64>,
    faults: &mut Faults,
) -> Option<u64> {
    if !value.is_i64() && !value.is_u64() {
        faults.wrong_type(pointer, value);
        return None;
    }
    let number = value.as_u64().filter(|number| range.contains(number));
    if number.is_none() {
        let fault = Message::new(message::PropertyValueOutOfRange, [&shown(value), pointer]).about(pointer);
        let (from, to) = (range.start(), range.end());
        faults.push(fault.resolution(format!("Send a value from {from} to {to}.")));
    }
    number
}

/// A time in seconds as IPMI keeps it.
fn read_interval(pointer: &str, value: &Value, faults: &mut Faults) -> Option<u16> {
    const UNIT: u64 = BAD_PASSWORD_TIME_UNIT_SECONDS;
    let seconds = read_number(pointer, value, UNIT..=UNIT * u64::from(u16::MAX), faults)?;
    if seconds % UNIT != 0 {
        let fault = Message::new(message::PropertyValueOutOfRange, [&shown(value), pointer]).about(pointer);
        faults.push(
            fault.resolution(format!("IPMI shares this setting and counts in {UNIT} s: send a multiple.")),
        );
        return None;
    }
    u16::try_from(seconds / UNIT).ok()
}
