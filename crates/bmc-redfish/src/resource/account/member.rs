//! `ManagerAccount` and its collection. The id is the user's id of IPMI; users whom IPMI has given no name yet are not shown.

use bmc_core::account::{Account, AccountError, Accounts, Role};
use bmc_core::directory::ChangeError;
use bmc_core::error::RequestError;
use bmc_core::request::{Change, Request};
use bmc_core::settings::Edit;
use http::header::{ETAG, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};
use std::time::Duration;

use super::body::Wanted;
use super::{has_ipmi, role};
use crate::auth::Caller;
use crate::error::{About, Asked, Problem, request_problem};
use crate::etag;
use crate::message::{self, Message};
use crate::patch::{self, Faults};
use crate::privilege::{self, Privilege};
use crate::resource::write::change_problem;
use crate::resource::{Call, Content, Reply, collection, link, resource, with};
use crate::routes::{Ids, Route};
use crate::schema;
use crate::scope::Scope;
use crate::service::Service;

pub(super) const COLLECTION_URI: &str = "/redfish/v1/AccountService/Accounts";
const PATH: &str = "/redfish/v1/AccountService/Accounts/{id}";

/// How often a change is tried again when somebody else changes accounts meanwhile.
const ATTEMPTS_MAX: usize = 8;

/// Where an account is.
pub(crate) fn uri(id: u8) -> String {
    format!("{COLLECTION_URI}/{id}")
}

/// Whether an operation is one of the two that are left to who has to change the password first (DSP0266, "Password change required
/// handling"): to see and to change one's own account.
pub(crate) fn is_way_out(route: Option<&Route>, ids: &Ids, method: &Method, caller: &Caller) -> bool {
    route.is_some_and(|route| route.path == PATH)
        && ids.id == caller.account.to_string()
        && matches!(*method, Method::GET | Method::HEAD | Method::PATCH)
}

pub(super) fn collection(call: &Call<'_>) -> Result<Value, Problem> {
    let accounts = call.service.scope.accounts();
    let named = accounts.iter().filter(|account| !account.name.is_empty());
    let members: Vec<String> = named.map(|account| uri(account.id)).collect();
    Ok(collection::render(schema::MANAGER_ACCOUNT_COLLECTION, COLLECTION_URI, "Accounts", &members))
}

/// The account of an id in a URI.
fn find<'a>(accounts: &'a Accounts, id: &str) -> Result<&'a Account, Problem> {
    let mut named = accounts.iter().filter(|account| !account.name.is_empty());
    named.find(|account| account.id.to_string() == id).ok_or_else(|| Problem::not_found("ManagerAccount", id))
}

/// Whether the caller may do anything with accounts, or only what belongs to the own one.
fn rules_accounts(call: &Call<'_>) -> bool {
    let caller = call.caller.as_ref();
    caller.is_some_and(|caller| {
        privilege::has(caller.role, Privilege::ConfigureUsers) && !caller.must_change_password
    })
}

fn require_own(call: &Call<'_>, account: &Account) -> Result<(), Problem> {
    let is_own = call.caller.as_ref().is_some_and(|caller| caller.account == account.id);
    if is_own || rules_accounts(call) { Ok(()) } else { Err(Problem::forbidden()) }
}

pub(super) fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let accounts = call.service.scope.accounts();
    // Who may not see others' learns not even whether they are there.
    let account = find(&accounts, call.id)
        .map_err(|problem| if rules_accounts(call) { problem } else { Problem::forbidden() })?;
    require_own(call, account)?;
    Ok(render(call.service, account))
}

fn render(service: &Service, account: &Account) -> Value {
    let fleet = service.scope.fleet();
    let (name, now) = (account.name.as_bytes(), service.now());
    let locked = fleet.lockouts().is_locked_anywhere(now, &service.scope.lockout_name(), name);
    let role = privilege::role_id(account.role);
    let may_use_ipmi = has_ipmi(&service.scope) && account.ipmi_messaging && account.role != Role::NoAccess;
    let types: Vec<&str> =
        role.map(|_| "Redfish").into_iter().chain(may_use_ipmi.then_some("IPMI")).collect();
    let object = resource(schema::MANAGER_ACCOUNT, &uri(account.id), &account.id.to_string(), "User Account");
    let mut members = json!({
        "UserName": account.name,
        // Always null in an answer, says the schema.
        "Password": null,
        "PasswordChangeRequired": account.password_change_required,
        "Enabled": account.enabled,
        "Locked": locked,
        "AccountTypes": types,
    });
    // IPMI's callback level and "no access" are no Redfish roles.
    if let Some(role) = role {
        members["RoleId"] = role.into();
        members["Links"] = json!({"Role": link(&role::uri(role))});
    }
    with(object, members)
}

/// Makes an account. 201 with it and where it is.
pub(super) async fn create(call: &Call<'_>) -> Result<Reply, Problem> {
    let ipmi_here = has_ipmi(&call.service.scope);
    let wanted = read(&call.body, &json!({}), ipmi_here, |wanted, faults| {
        wanted.require_all(&call.body, faults);
        let blank = Account::blank(0);
        wanted.check(&blank, wanted.new_may_use_ipmi(ipmi_here), faults);
    })?;
    let made = change(call, |accounts| {
        let id = accounts.free_id().ok_or_else(|| full(call))?;
        let mut next = accounts.clone();
        let edited = next.edit(id, |account| {
            let ipmi = wanted.new_may_use_ipmi(ipmi_here);
            let password = wanted.password.clone().unwrap_or_default();
            let rights = Account::new(id, "", password, Role::User);
            *account = Account { ipmi_messaging: ipmi, sol_payload: ipmi, ..rights };
            wanted.put(account);
            account.ipmi_messaging = ipmi;
        });
        edited.map_err(|error| refusal(&error, &wanted))?;
        let made = next.get(id).map_err(|error| refusal(&error, &wanted))?;
        Ok((next, made))
    })
    .await?;
    told(call, made.id, "an account was made over Redfish");
    let location = HeaderValue::from_str(&uri(made.id)).map_err(|_| Problem::internal())?;
    let content = Content::Resource(render(call.service, &made));
    Ok(Reply { status: StatusCode::CREATED, headers: vec![(LOCATION, location)], content })
}

/// Changes an account: any of it for who rules accounts, the password for whose own it is.
pub(super) async fn update(call: &Call<'_>) -> Result<Reply, Problem> {
    let service = call.service;
    let ipmi_here = has_ipmi(&service.scope);
    let changed = change(call, |accounts| {
        let account = find(accounts, call.id)
            .map_err(|problem| if rules_accounts(call) { problem } else { Problem::forbidden() })?;
        require_own(call, account)?;
        let shown = render(service, account);
        if !rules_accounts(call) && !only_password(&call.body) {
            return Err(not_own(call));
        }
        if !etag::may_write(call.headers, &etag::of(&shown)) {
            return Err(Problem::precondition_failed());
        }
        let wanted = read(&call.body, &shown, ipmi_here, |wanted, faults| {
            wanted.check(account, wanted.ipmi.unwrap_or(account.ipmi_messaging), faults);
            must_differ(wanted, account, faults);
        })?;
        let mut next = accounts.clone();
        next.edit(account.id, |account| wanted.put(account)).map_err(|error| refusal(&error, &wanted))?;
        keeps_an_administrator(accounts, &next, message::AccountNotModified)?;
        let after = next.get(account.id).map_err(|error| refusal(&error, &wanted))?;
        if let Some(session) = own_session(call, account) {
            service.sessions.expect(session, Some(&after));
        }
        Ok((next, (account.clone(), after, wanted)))
    })
    .await;
    if let (Err(_), Some(session)) = (&changed, call.caller.as_ref().and_then(|who| who.session.as_deref())) {
        service.sessions.expect(session, None);
    }
    let (before, after, wanted) = changed?;
    if wanted.unlock {
        let fleet = service.scope.fleet();
        fleet.lockouts().unlock(&service.scope.lockout_name(), before.name.as_bytes());
    }
    end_sessions(call, Some(&after));
    told(call, after.id, "an account was changed over Redfish");
    let mut reply = Reply::empty(StatusCode::NO_CONTENT);
    if let Ok(tag) = HeaderValue::from_str(&etag::of(&render(service, &after))) {
        reply.headers.push((ETAG, tag));
    }
    Ok(reply)
}

/// Ends an account.
pub(super) async fn remove(call: &Call<'_>) -> Result<Reply, Problem> {
    let id = change(call, |accounts| {
        let account = find(accounts, call.id)?;
        if !etag::may_write(call.headers, &etag::of(&render(call.service, account))) {
            return Err(Problem::precondition_failed());
        }
        let mut next = accounts.clone();
        next.set_name(account.id, "").map_err(|error| refusal(&error, &Wanted::default()))?;
        keeps_an_administrator(accounts, &next, message::ResourceCannotBeDeleted)?;
        Ok((next, account.id))
    })
    .await?;
    end_sessions(call, None);
    told(call, id, "an account was deleted over Redfish");
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Reads a body with every fault it has.
fn read(
    body: &Map<String, Value>,
    shown: &Value,
    has_ipmi: bool,
    check: impl FnOnce(&Wanted, &mut Faults),
) -> Result<Wanted, Problem> {
    patch::read(body, |faults| {
        let (wanted, anything) = Wanted::read(body, shown, has_ipmi, faults);
        check(&wanted, faults);
        (wanted, anything)
    })
}

/// Changes the table by `plan`, which is made anew when somebody else was faster.
async fn change<T: Send>(
    call: &Call<'_>,
    plan: impl Fn(&Accounts) -> Result<(Accounts, T), Problem> + Send + Sync,
) -> Result<T, Problem> {
    let machine = match &call.service.scope {
        Scope::One { machine, .. } => machine,
        Scope::All { accounts, fleet } => {
            let changed = accounts
                .change(|before| {
                    let (after, answer) = plan(before)?;
                    let told = before.changes(&after);
                    Ok((after, (answer, told)))
                })
                .await;
            let changed = changed.map(|(answer, told)| {
                let (bmc, time) = (call.service.scope.lockout_name(), fleet.clock().timestamp());
                told.into_iter().for_each(|kind| fleet.events().emit(time, &bmc, uuid::Uuid::nil(), kind));
                answer
            });
            return changed.map_err(|error| match error {
                ChangeError::Refused(problem) => problem,
                ChangeError::Store(error) => {
                    let about = About { asked: Asked::Change, uri: super::URI, id: "AccountService" };
                    request_problem(&RequestError::Store(error.to_string()), about)
                }
            });
        }
    };
    for _ in 0..ATTEMPTS_MAX {
        let snapshot = machine.snapshot();
        let seen = std::sync::Arc::clone(&snapshot.accounts);
        let (next, answer) = plan(&seen)?;
        if next == *seen {
            return Ok(answer);
        }
        let edit = Edit::new(move |editable| {
            if *editable.accounts != *seen {
                return Err(RequestError::Conflict);
            }
            next.clone_into(editable.accounts);
            Ok(())
        });
        let change = Change { edit: Some(edit), ..Change::default() };
        match machine.request(Request::Change(Box::new(change))).await {
            Ok(_) => return Ok(answer),
            Err(RequestError::Conflict) => {}
            Err(error) => return Err(change_problem(&error, &snapshot)),
        }
    }
    Err(Problem::retry(Duration::from_secs(1), message::ServiceTemporarilyUnavailable))
}

/// The session in which somebody is at the own account.
fn own_session<'a>(call: &'a Call<'_>, account: &Account) -> Option<&'a str> {
    let own = call.caller.as_ref().filter(|caller| caller.account == account.id)?;
    own.session.as_deref()
}

/// Ends the sessions of who may no longer log in as before; the one in which somebody changed the own account goes on.
fn end_sessions(call: &Call<'_>, changed: Option<&Account>) {
    let sessions = &call.service.sessions;
    if let Some(changed) = changed
        && let Some(session) = own_session(call, changed)
    {
        sessions.renew(session, changed);
    }
    sessions.end_stale(&call.service.scope.accounts());
}

/// Says in the journal who changed what; never what a password is.
fn told(call: &Call<'_>, id: u8, what: &str) {
    let by = call.caller.as_ref().map_or("", |caller| caller.user.as_str());
    let bmc = call.service.scope.lockout_name();
    tracing::info!(bmc = %bmc, account = id, by, source = %call.source, "{what}");
}

fn only_password(body: &Map<String, Value>) -> bool {
    body.keys().all(|name| name == "Password" || patch::is_annotation(name))
}

/// Who may change the password alone asked for more.
fn not_own(call: &Call<'_>) -> Problem {
    match &call.caller {
        Some(caller) if caller.must_change_password => Problem::password_change_required(caller.account),
        _ => Problem::forbidden(),
    }
}

/// A password that has to be changed has to become another one.
fn must_differ(wanted: &Wanted, account: &Account, faults: &mut Faults) {
    if account.password_change_required && wanted.password.as_ref() == Some(&account.password) {
        let fault = Message::new(message::PropertyValueError, ["/Password"]).about("/Password");
        faults.push(fault.resolution("Send another password than the present one."));
    }
}

/// A service without an administrator could not be mended over Redfish.
fn keeps_an_administrator(
    before: &Accounts,
    after: &Accounts,
    refusal: &'static message::Entry,
) -> Result<(), Problem> {
    if before.has_administrator() && !after.has_administrator() {
        let message = Message::new(refusal, []).resolution(
            "This is the last administrator: first make another account an enabled administrator.",
        );
        return Err(Problem::new(StatusCode::CONFLICT, message));
    }
    Ok(())
}

fn full(call: &Call<'_>) -> Problem {
    let error = RequestError::NoSpace { what: "table of accounts" };
    let about = About { asked: Asked::Change, uri: COLLECTION_URI, id: call.id };
    request_problem(&error, about)
}

/// What the table refuses. Lengths and characters were checked before, so that hardly more than a name that is taken is left.
fn refusal(error: &AccountError, wanted: &Wanted) -> Problem {
    match error {
        AccountError::NameTaken(_) => {
            let name = wanted.name.as_deref().unwrap_or_default();
            let message = Message::new(message::ResourceAlreadyExists, ["ManagerAccount", "UserName", name]);
            Problem::new(StatusCode::CONFLICT, message.about("/UserName"))
        }
        AccountError::Password | AccountError::LongPassword => {
            Problem::bad_request(vec![Message::new(message::PasswordIncorrectLength, []).about("/Password")])
        }
        _ => Problem::bad_request(vec![
            Message::new(message::PropertyValueError, ["/UserName"]).about("/UserName"),
        ]),
    }
}
