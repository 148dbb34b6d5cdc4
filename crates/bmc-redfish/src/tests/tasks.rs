//! Operations that take time: what a client sees of them, and how they end.

use bmc_core::account::Role;
use bmc_core::media::Transfer;
use http::HeaderMap;
use tokio::sync::oneshot;

use super::*;
use crate::auth::Caller;
use crate::error::Problem;
use crate::message::{self, Message};
use crate::resource::{Call, Content, Reply};
use crate::routes;
use crate::tasks::{ENDED_MAX, Progress, RUNNING_MAX};

/// A service, and what it takes to ask it for operations.
struct Desk {
    lab: Lab,
    service: Arc<Service>,
    router: Router,
    headers: HeaderMap,
}

type Verdict = Result<Reply, Problem>;

impl Desk {
    async fn new() -> Self {
        let lab = lab().await;
        let scope = Scope::One { fleet: lab.fleet.clone(), machine: lab.machine.clone() };
        let service = Arc::new(Service::new(scope, RedfishConfig::default()));
        let router = router(Arc::clone(&service));
        Self { lab, service, router, headers: HeaderMap::new() }
    }

    fn call(&self) -> Call<'_> {
        let (route, _) = routes::find("/redfish/v1/SessionService/Sessions").unwrap();
        let body = json!({"Password": "secret", "Image": "http://user:pass@host/a.iso"});
        Call {
            service: &self.service,
            caller: Some(Caller::administrator()),
            is_head: false,
            path: "/redfish/v1/SessionService/Sessions",
            verb: route.verb(&http::Method::POST).unwrap(),
            id: "",
            member: "",
            leaf: "",
            body: body.as_object().unwrap().clone(),
            headers: &self.headers,
            source: std::net::Ipv4Addr::LOCALHOST.into(),
            upload: std::sync::Mutex::default(),
        }
    }

    /// Begins a task that ends with what is sent.
    fn start(&self) -> (oneshot::Sender<Verdict>, Answering) {
        let (sender, verdict) = oneshot::channel();
        let mut progress = None;
        let reply = self.service.tasks.start(&self.call(), "Test", |its| {
            progress = Some(its);
            async { verdict.await.unwrap() }
        });
        (sender, Answering { reply: reply.unwrap(), progress: progress.unwrap() })
    }

    async fn ask(&self, method: &str, path: &str) -> Answer {
        Ask::new(method, path).send(&self.router).await
    }

    async fn until_ended(&self, task: &str) -> Value {
        loop {
            let answer = self.ask("GET", task).await;
            if answer.status == 200 {
                return answer.json();
            }
            assert_eq!(answer.status, 202);
            tokio::task::yield_now().await;
        }
    }
}

struct Answering {
    reply: Reply,
    progress: Progress,
}

impl Answering {
    fn monitor(&self) -> String {
        self.reply.headers[0].1.to_str().unwrap().to_owned()
    }

    fn task(&self) -> String {
        let Content::Resource(task) = &self.reply.content else { panic!("{:?}", self.reply) };
        task["@odata.id"].as_str().unwrap().to_owned()
    }
}

fn created() -> Reply {
    Reply { status: StatusCode::CREATED, ..Reply::ok(Content::Plain(json!({"Made": 1}))) }
}

#[tokio::test(start_paused = true)]
async fn what_is_done_in_time_is_answered_directly_and_leaves_nothing() {
    let desk = Desk::new().await;
    let reply = desk.service.tasks.run(&desk.call(), "Test", |_| async { Ok(created()) }).await.unwrap();
    assert_eq!(reply.status, 201);
    let refuse = |_| async { Err(Problem::precondition_failed()) };
    // A refusal is an answer like any other.
    assert_eq!(desk.service.tasks.run(&desk.call(), "Test", refuse).await.unwrap().status, 412);
    let tasks = desk.ask("GET", "/redfish/v1/TaskService/Tasks").await.json();
    assert_eq!(tasks["Members@odata.count"], 0);
}

#[tokio::test(start_paused = true)]
async fn what_takes_longer_becomes_a_task_whose_monitor_gives_the_answer() {
    let desk = Desk::new().await;
    let (sender, verdict) = oneshot::channel::<Verdict>();
    // Time is virtual: it passes as soon as nobody has anything to do.
    let work = |progress: Progress| async move {
        let transfer = Transfer::default();
        progress.transfer(transfer.clone());
        transfer.note(4, Some(10));
        verdict.await.unwrap()
    };
    let reply = desk.service.tasks.run(&desk.call(), "Test", work).await.unwrap();
    assert_eq!(reply.status, 202);
    let answering = Answering { reply, progress: desk.start().1.progress };
    let (task, monitor) = (answering.task(), answering.monitor());

    for uri in [&task, &monitor] {
        let answer = desk.ask("GET", uri).await;
        assert_eq!(answer.status, 202, "{uri}");
        assert!(!answer.headers.contains_key("retry-after"), "sushy breaks on one");
        let json = answer.json();
        assert_eq!(json["@odata.id"], *task);
        assert_eq!((&json["TaskState"], &json["TaskStatus"]), (&json!("Running"), &json!("OK")));
        assert_eq!(json["PercentComplete"], 40);
        assert_eq!(json["TaskMonitor"], *monitor);
        assert_eq!(json["Payload"]["HttpOperation"], "POST");
        let body = json["Payload"]["JsonBody"].as_str().unwrap();
        assert!(!body.contains("secret") && !body.contains("pass") && body.contains("host/a.iso"), "{body}");
        assert!(json.get("EndTime").is_none());
    }
    sender.send(Ok(created())).unwrap();
    let json = desk.until_ended(&task).await;
    assert_eq!((&json["TaskState"], &json["PercentComplete"]), (&json!("Completed"), &json!(100)));
    assert!(json["EndTime"].is_string());
    assert_eq!(json["Messages"][0]["MessageId"], "Base.1.22.Success");
    let answer = desk.ask("GET", &monitor).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (201, json!({"Made": 1})));

    assert_eq!(desk.ask("DELETE", &task).await.status, 204);
    desk.ask("GET", &task).await.refused(404, &["ResourceNotFound"]);
    desk.ask("GET", &monitor).await.refused(404, &["ResourceMissingAtURI"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_an_exception_and_its_monitor_says_why() {
    let desk = Desk::new().await;
    let (sender, answering) = desk.start();
    answering.progress.message(Message::new(message::ResourceInUse, []));
    assert!(sender.send(Err(Problem::precondition_failed())).is_ok());
    let json = desk.until_ended(&answering.task()).await;
    assert_eq!((&json["TaskState"], &json["TaskStatus"]), (&json!("Exception"), &json!("Critical")));
    let keys: Vec<&str> =
        json["Messages"].as_array().unwrap().iter().map(|one| one["MessageId"].as_str().unwrap()).collect();
    assert_eq!(keys, ["Base.1.22.ResourceInUse", "Base.1.22.PreconditionFailed"]);
    desk.ask("GET", &answering.monitor()).await.refused(412, &["PreconditionFailed"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_is_cancelled_unless_it_is_past_that() {
    let desk = Desk::new().await;
    let (sender, answering) = desk.start();
    assert_eq!(desk.ask("DELETE", &answering.task()).await.status, 204);
    let json = desk.until_ended(&answering.task()).await;
    assert_eq!((&json["TaskState"], &json["TaskStatus"]), (&json!("Cancelled"), &json!("Warning")));
    assert!(sender.is_closed(), "the operation is gone");
    desk.ask("GET", &answering.monitor()).await.refused(404, &["ResourceMissingAtURI"]);
    assert!(!answering.progress.commit(), "too late");

    let (sender, answering) = desk.start();
    assert!(answering.progress.commit());
    desk.ask("DELETE", &answering.monitor()).await.refused(409, &["ResourceInUse"]);
    assert!(sender.send(Ok(created())).is_ok());
    assert_eq!(desk.until_ended(&answering.task()).await["TaskState"], "Completed");
}

#[tokio::test(start_paused = true)]
async fn an_operation_goes_on_without_its_client_and_is_seen_then() {
    let desk = Desk::new().await;
    let (sender, verdict) = oneshot::channel::<Verdict>();
    let mut sender = Some(sender);
    {
        let call = desk.call();
        let asking = desk.service.tasks.run(&call, "Test", |_| async { verdict.await.unwrap() });
        tokio::select! {
            biased;
            _ = asking => panic!("not done"),
            () = tokio::task::yield_now() => {}
        }
    }
    let tasks = desk.ask("GET", "/redfish/v1/TaskService/Tasks").await.json();
    let task = tasks["Members"][0]["@odata.id"].as_str().unwrap().to_owned();
    assert!(sender.take().unwrap().send(Ok(created())).is_ok());
    assert_eq!(desk.until_ended(&task).await["TaskState"], "Completed");
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_panics_is_an_exception() {
    let desk = Desk::new().await;
    let work = |_| async { if true { panic!("on purpose") } else { Ok(created()) } };
    let reply = desk.service.tasks.run(&desk.call(), "Test", work).await.unwrap();
    assert_eq!(reply.status, 500);
}

#[tokio::test(start_paused = true)]
async fn tasks_are_bounded_and_the_oldest_that_ended_makes_room() {
    let desk = Desk::new().await;
    let mut running: Vec<_> = (0..RUNNING_MAX).map(|_| desk.start()).collect();
    let refused = desk.service.tasks.start(&desk.call(), "Test", |_| async { Ok(created()) }).unwrap_err();
    assert_eq!(refused.status, 503);
    let first = running[0].1.task();
    for _ in 0..=ENDED_MAX {
        let (sender, answering) = running.remove(0);
        assert!(sender.send(Ok(created())).is_ok());
        desk.until_ended(&answering.task()).await;
        running.push(desk.start());
    }
    desk.ask("GET", &first).await.refused(404, &["ResourceNotFound"]);
    let tasks = desk.ask("GET", "/redfish/v1/TaskService/Tasks").await.json();
    assert_eq!(tasks["Members@odata.count"], RUNNING_MAX + ENDED_MAX);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_service_ends_its_tasks() {
    let desk = Desk::new().await;
    let (sender, answering) = desk.start();
    desk.service.background.stop();
    desk.service.background.ended(std::time::Duration::from_secs(60)).await;
    assert!(sender.is_closed());
    assert_eq!(desk.until_ended(&answering.task()).await["TaskState"], "Cancelled");
    let refused = desk.service.tasks.start(&desk.call(), "Test", |_| async { Ok(created()) }).unwrap_err();
    assert_eq!(refused.status, 503);
}

#[tokio::test(start_paused = true)]
async fn only_who_asked_or_an_administrator_ends_a_task() {
    let desk = Desk::new().await;
    let (_sender, answering) = desk.start();
    let edit = bmc_core::settings::Edit::new(|editable| {
        let put = editable.accounts.edit(3, |account| {
            let password = Secret::new("password");
            *account = bmc_core::account::Account::new(3, "operator", password, Role::Operator);
        });
        assert!(put.is_ok());
        Ok(())
    });
    let change = bmc_core::request::Change { edit: Some(edit), ..Default::default() };
    desk.lab.machine.request(bmc_core::request::Request::Change(Box::new(change))).await.unwrap();
    let ask = |method| {
        Ask::anonymous(method, &answering.task())
            .header("authorization", &basic("operator", "password"))
            .send(&desk.router)
    };
    ask("DELETE").await.refused(403, &["InsufficientPrivilege"]);
    assert_eq!(ask("GET").await.status, 202);
    for id in ["0", "2", "+1", "01", "x", "18446744073709551616"] {
        desk.ask("GET", &format!("/redfish/v1/TaskService/Tasks/{id}"))
            .await
            .refused(404, &["ResourceNotFound"]);
    }
}
