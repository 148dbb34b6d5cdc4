//! `TaskService`, its tasks, and their monitors.
//!
//! A task that runs is shown with 202, as its monitor is, and with 200 once it has ended: sushy, and with it Ironic, waits at the URI of the
//! task, which it takes from the body of the first answer, and takes any other status for the end.

use http::StatusCode;
use serde_json::{Value, json};

use crate::error::Problem;
use crate::message::{self, Message};
use crate::privilege::Privilege;
use crate::resource::{Call, Reply, collection, date_time, link, resource, with};
use crate::routes::{Access, Route, Verb, answer, delete, get};
use crate::schema;
use crate::tasks::{EndError, State, Task, accepted};

pub(super) const URI: &str = "/redfish/v1/TaskService";
const COLLECTION_URI: &str = "/redfish/v1/TaskService/Tasks";
const MONITORS_URI: &str = "/redfish/v1/TaskService/TaskMonitors";

const END: Verb = delete(
    Privilege::ConfigureManager,
    |call| Box::pin(async { end(call) }),
    "cancels a task that runs, forgets one that has ended: one's own, or any for an administrator",
)
.access(Access::OwnOr(Privilege::ConfigureManager));

/// The task service.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish/v1/TaskService", verbs: &[get(show_service, "TaskService")] },
    Route { path: "/redfish/v1/TaskService/Tasks", verbs: &[get(collection, "TaskCollection")] },
    Route {
        path: "/redfish/v1/TaskService/Tasks/{id}",
        verbs: &[get(show, "Task: 202 while it runs, 200 once it has ended").status(status), END],
    },
    Route {
        path: "/redfish/v1/TaskService/TaskMonitors/{id}",
        verbs: &[
            answer(
                |call| Box::pin(async { monitor(call) }),
                "202 and the Task while it runs, then what the operation answers",
            ),
            END,
        ],
    },
];

fn show_service(call: &Call<'_>) -> Result<Value, Problem> {
    let object = resource(schema::TASK_SERVICE, URI, "TaskService", "Task Service");
    let members = json!({
        "DateTime": date_time(call.service.scope.fleet().clock().timestamp()),
        "ServiceEnabled": true,
        "CompletedTaskOverWritePolicy": "Oldest",
        "LifeCycleEventOnTaskStateChange": true,
        "Status": {"State": "Enabled", "Health": "OK"},
        "Tasks": link(COLLECTION_URI),
    });
    Ok(with(object, members))
}

fn collection(call: &Call<'_>) -> Result<Value, Problem> {
    let members: Vec<String> = call.service.tasks.all().iter().map(|task| uri(task.id)).collect();
    Ok(collection::render(schema::TASK_COLLECTION, COLLECTION_URI, "Tasks", &members))
}

/// Where a task is.
pub(crate) fn uri(id: u64) -> String {
    format!("{COLLECTION_URI}/{id}")
}

/// Where the operation of a task will answer.
pub(crate) fn monitor_uri(id: u64) -> String {
    format!("{MONITORS_URI}/{id}")
}

fn find(call: &Call<'_>) -> Result<Task, Problem> {
    call.service.tasks.by_id(call.id).ok_or_else(|| Problem::not_found("Task", call.id))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    find(call).map(|task| render(&task))
}

/// The status with which a task is shown.
fn status(task: &Value) -> StatusCode {
    if task.get("EndTime").is_some() { StatusCode::OK } else { StatusCode::ACCEPTED }
}

pub(crate) fn render(task: &Task) -> Value {
    let (state, health) = match task.state {
        State::Running => ("Running", "OK"),
        State::Cancelling => ("Cancelling", "OK"),
        State::Completed => ("Completed", "OK"),
        State::Exception => ("Exception", "Critical"),
        State::Cancelled => ("Cancelled", "Warning"),
    };
    let mut object = resource(schema::TASK, &uri(task.id), &task.id.to_string(), &task.name);
    object.insert("StartTime".to_owned(), date_time(task.start).into());
    if let Some(end) = task.end {
        object.insert("EndTime".to_owned(), date_time(end).into());
    }
    let members = json!({
        "TaskState": state,
        "TaskStatus": health,
        "PercentComplete": task.percent,
        "TaskMonitor": monitor_uri(task.id),
        "HidePayload": false,
        "Payload": {
            "HttpOperation": task.method.as_str(),
            "TargetUri": task.target,
            "HttpHeaders": [],
            "JsonBody": task.body.to_string(),
        },
        "Messages": task.messages.iter().map(Message::to_json).collect::<Vec<Value>>(),
    });
    with(object, members)
}

/// What the operation answers, as soon as it does. A cancelled one never will.
fn monitor(call: &Call<'_>) -> Result<Reply, Problem> {
    let gone = || Problem::missing_at(&format!("{MONITORS_URI}/{}", call.id));
    let task = call.service.tasks.by_id(call.id).ok_or_else(gone)?;
    if task.state.has_ended() { task.answer.ok_or_else(gone) } else { Ok(accepted(&task)) }
}

/// Ends a task.
fn end(call: &Call<'_>) -> Result<Reply, Problem> {
    let task = find(call)?;
    let caller = call.caller.as_ref().ok_or_else(Problem::unauthorized)?;
    if caller.user != task.user {
        caller.require(Privilege::ConfigureManager)?;
    }
    match call.service.tasks.end(task.id) {
        Ok(()) => Ok(Reply::empty(StatusCode::NO_CONTENT)),
        Err(EndError::Missing) => Err(Problem::not_found("Task", call.id)),
        Err(EndError::Committed) => {
            let message = Message::new(message::ResourceInUse, [])
                .resolution("The task is past the point where it can be cancelled; wait until it has ended.");
            Err(Problem::new(StatusCode::CONFLICT, message))
        }
    }
}
