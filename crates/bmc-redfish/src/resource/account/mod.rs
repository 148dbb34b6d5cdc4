//! `AccountService`: who may log in, the same people over Redfish and over IPMI; roles, privileges and the lock-out.

mod body;
mod member;
mod privilege_map;
mod role;

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

/// The lock-out by user, as IPMI's parameter 26 has it. The one by user and source, which is always there, is no setting and not shown; the root over all BMCs has
/// only that.
fn put_lockout(members: &mut Map<String, Value>, threshold: Option<BadPasswordThreshold>) {
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    let Some(threshold) = threshold else {
        put("AccountLockoutThreshold", 0.into());
        return;
    };
    put("AccountLockoutThreshold", threshold.threshold.into());
    put("AccountLockoutCounterResetEnabled", (threshold.lockout_interval != 0).into());
    let seconds = |interval: u16| Value::from(u64::from(interval) * BAD_PASSWORD_TIME_UNIT_SECONDS);
    // Zero is "never" to IPMI, and no time at all to Redfish.
    if threshold.lockout_interval != 0 {
        let duration = if threshold.no_time { 0 } else { threshold.lockout_interval };
        put("AccountLockoutDuration", seconds(duration));
    }
    if threshold.count_reset_interval != 0 {
        put("AccountLockoutCounterResetAfter", seconds(threshold.count_reset_interval));
    }
}

async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let scope = &call.service.scope;
    let Some(machine) = scope.machine() else {
        // The root over all BMCs has the lock-out by source alone, which cannot be changed.
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
            let present = snapshot.settings.lan.bad_password;
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

/// What a PATCH says of the lock-out.
#[derive(Default)]
struct Lockout {
    threshold: Option<u8>,
    /// In units of IPMI; 0: no lock-out occurs.
    duration: Option<u16>,
    reset_after: Option<u16>,
    reset_enabled: Option<bool>,
}

fn read_lockout(
    body: &Map<String, Value>,
    shown: &Value,
    present: BadPasswordThreshold,
    faults: &mut Faults,
) -> (BadPasswordThreshold, bool) {
    let (mut wanted, mut anything) = (Lockout::default(), false);
    patch::each_property(body, shown, "", faults, |name, pointer, value, faults| {
        match name {
            "AccountLockoutThreshold" => {
                let number = read_number(pointer, value, 0..=u64::from(u8::MAX), faults);
                wanted.threshold = number.and_then(|number| u8::try_from(number).ok());
            }
            "AccountLockoutDuration" => wanted.duration = read_interval(pointer, value, 0, faults),
            "AccountLockoutCounterResetAfter" => {
                wanted.reset_after = read_interval(pointer, value, BAD_PASSWORD_TIME_UNIT_SECONDS, faults);
            }
            "AccountLockoutCounterResetEnabled" => wanted.reset_enabled = faults.boolean(pointer, value),
            _ => return false,
        }
        anything = true;
        true
    });
    let next = if faults.is_empty() { wanted.put(present, faults) } else { present };
    (next, anything)
}

impl Lockout {
    /// The setting that this makes of the present one.
    fn put(&self, present: BadPasswordThreshold, faults: &mut Faults) -> BadPasswordThreshold {
        let mut conflict = |this: &str, that: &str, why: &str| {
            let pointers = [format!("/{this}"), format!("/{that}")];
            let fault = Message::new(message::PropertyValueConflict, [&pointers[0], &pointers[1]]);
            faults.push(fault.about(&pointers[0]).resolution(why));
        };
        let mut next =
            BadPasswordThreshold { threshold: self.threshold.unwrap_or(present.threshold), ..present };
        // Who sets a time wants it to count.
        let times = self.duration.is_some() || self.reset_after.is_some();
        let ends = self.reset_enabled.unwrap_or(present.lockout_interval != 0 || times);
        if !ends {
            // Without an end there is no time to keep.
            for (name, sent) in [
                ("AccountLockoutDuration", self.duration.is_some()),
                ("AccountLockoutCounterResetAfter", self.reset_after.is_some()),
            ] {
                if sent {
                    let why = "A lock-out without an end has no times: leave this out, or let the counter be reset.";
                    conflict(name, "AccountLockoutCounterResetEnabled", why);
                }
            }
            (next.lockout_interval, next.count_reset_interval, next.no_time) = (0, 0, false);
            return next;
        }
        let fresh = BadPasswordThreshold::default();
        if present.lockout_interval == 0 {
            (next.lockout_interval, next.count_reset_interval) =
                (fresh.lockout_interval, fresh.count_reset_interval);
        }
        if let Some(duration) = self.duration {
            next.no_time = duration == 0;
            if duration != 0 {
                next.lockout_interval = duration;
            }
        }
        if let Some(reset_after) = self.reset_after {
            next.count_reset_interval = reset_after;
        }
        if next.no_time {
            if self.threshold.is_some_and(|threshold| threshold != 0) {
                let why = "With the duration 0 no lock-out occurs: send an AccountLockoutDuration too, or the threshold 0.";
                conflict("AccountLockoutThreshold", "AccountLockoutDuration", why);
            }
            next.threshold = 0;
        } else if times && next.count_reset_interval > next.lockout_interval {
            const WHY: &str = "AccountLockoutDuration is at least AccountLockoutCounterResetAfter.";
            let names = ["AccountLockoutDuration", "AccountLockoutCounterResetAfter"];
            let [this, that] = if self.reset_after.is_some() { [names[1], names[0]] } else { names };
            conflict(this, that, WHY);
        }
        next
    }
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

/// A time in seconds, `least` or more, as IPMI keeps it.
fn read_interval(pointer: &str, value: &Value, least: u64, faults: &mut Faults) -> Option<u16> {
    const UNIT: u64 = BAD_PASSWORD_TIME_UNIT_SECONDS;
    let seconds = read_number(pointer, value, least..=UNIT * u64::from(u16::MAX), faults)?;
    if seconds % UNIT != 0 {
        let fault = Message::new(message::PropertyValueOutOfRange, [&shown(value), pointer]).about(pointer);
        faults.push(
            fault.resolution(format!("IPMI shares this setting and counts in {UNIT} s: send a multiple.")),
        );
        return None;
    }
    u16::try_from(seconds / UNIT).ok()
}
