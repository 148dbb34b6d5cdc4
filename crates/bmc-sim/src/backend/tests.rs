//! The shell: identity, ordering of reports, faults, outages, and that idle machines cost nothing. Time is paused: it moves when
//! everything waits.

use bmc_core::backend::ObservedPower;
use bmc_core::boot::BootTarget;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::SimLoad;

type Received = UnboundedReceiver<Report>;

fn sim() -> SimBackend {
    SimBackend::new(SimConfig::default(), &Handle::current())
}

fn by_name(name: &str) -> MachineRef {
    MachineRef { uuid: None, name: name.to_owned() }
}

/// A channel of reports without the statistics and the stages of the boot, which have tests of their own.
fn channel() -> (Reports, Received) {
    let (all, received) = Reports::channel();
    let filter = move |report| {
        if !matches!(report, Report::Statistics(_) | Report::Stage(_)) {
            all.send(report);
        }
    };
    (Reports::new(filter), received)
}

/// Attaches and takes the first report away.
fn attach(sim: &SimBackend, name: &str) -> (Arc<dyn Machine>, Received, SimControl) {
    let (reports, mut received) = channel();
    let machine = sim.attach(by_name(name), reports);
    assert!(matches!(received.try_recv(), Ok(Report::Available(_))));
    (machine, received, sim.control(name).unwrap())
}

fn power(power: ObservedPower, cause: ChangeCause) -> Report {
    Report::Power { power, cause }
}

fn unavailable() -> BackendError {
    BackendError::unavailable("cable pulled")
}

async fn expect(received: &mut Received, expected: &[Report]) {
    for report in expected {
        assert_eq!(received.recv().await.as_ref(), Some(report));
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_exists_from_the_first_attach_and_keeps_its_identity() {
    let sim = sim();
    assert_eq!(sim.name(), "sim");
    assert!(sim.machines().await.unwrap().is_empty());
    let foretold = sim.find("node-0").await.unwrap();
    assert!(sim.machines().await.unwrap().is_empty(), "finding makes nothing");
    let (reports, mut received) = channel();
    let _machine = sim.attach(by_name("node-0"), reports);
    let Some(Report::Available(observed)) = received.recv().await else { panic!("state first") };
    assert_eq!(observed.info, foretold);
    assert_eq!(observed.power, ObservedPower::Off);
    assert!(observed.info.mains_return);
    assert_eq!(sim.find(&foretold.uuid.to_string()).await.unwrap(), foretold);
    assert_eq!(sim.machines().await.unwrap(), std::slice::from_ref(&foretold));

    let again = SimBackend::new(SimConfig::default(), &Handle::current());
    assert_eq!(again.find("node-0").await.unwrap(), foretold);
    let other = SimBackend::new(SimConfig { seed: 1, ..SimConfig::default() }, &Handle::current());
    let other = other.find("node-0").await.unwrap();
    assert_eq!(other.uuid, foretold.uuid);
    assert_ne!(other.nics, foretold.nics);
}

#[tokio::test(start_paused = true)]
async fn a_uuid_binds_before_the_name() {
    let sim = sim();
    let (first, _reports, _) = attach(&sim, "node-0");
    let uuid = sim.find("node-0").await.unwrap().uuid;
    let (reports, mut received) = channel();
    let _same = sim.attach(MachineRef { uuid: Some(uuid), name: "renamed".to_owned() }, reports);
    first.start(&BootPlan::OwnOrder).await.unwrap();
    let Some(Report::Available(observed)) = received.recv().await else { panic!("state first") };
    assert_eq!(observed.info.name, "node-0");
    expect(&mut received, &[power(ObservedPower::Starting, ChangeCause::Requested)]).await;

    let given = Uuid::from_u128(42);
    let (reports, _received) = channel();
    let _given = sim.attach(MachineRef { uuid: Some(given), name: "given".to_owned() }, reports);
    assert_eq!(sim.find("given").await.unwrap().uuid, given);
}

#[tokio::test(start_paused = true)]
async fn a_call_has_sent_its_reports_when_it_returns_and_the_rest_comes_in_time() {
    let sim = sim();
    let (machine, mut received, control) = attach(&sim, "node-0");
    let began = tokio::time::Instant::now();
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    assert_eq!(received.try_recv(), Ok(power(ObservedPower::Starting, ChangeCause::Requested)));
    expect(&mut received, &[Report::Booted { from: "disk sda".to_owned() }]).await;
    assert_eq!(control.booted_from().as_deref(), Some("disk sda"));
    expect(&mut received, &[power(ObservedPower::Running, ChangeCause::Requested)]).await;
    let config = SimConfig::default();
    assert_eq!(began.elapsed(), config.post + config.boot);
    machine.shutdown().await.unwrap();
    assert_eq!(received.try_recv(), Ok(power(ObservedPower::Stopping, ChangeCause::Requested)));
    expect(&mut received, &[power(ObservedPower::Off, ChangeCause::Requested)]).await;
    assert_eq!(began.elapsed(), config.post + config.boot + config.shutdown);
    assert_eq!(machine.shutdown().await.unwrap_err().kind, BackendErrorKind::InvalidState);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_deadline_overtakes_a_later_one() {
    let sim = sim();
    let (late, mut late_received, _) = attach(&sim, "late");
    let (early, mut early_received, _) = attach(&sim, "early");
    early.start(&BootPlan::OwnOrder).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    late.start(&BootPlan::OwnOrder).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    early.stop().await.unwrap();
    expect(
        &mut early_received,
        &[
            power(ObservedPower::Starting, ChangeCause::Requested),
            power(ObservedPower::Off, ChangeCause::Requested),
        ],
    )
    .await;
    expect(
        &mut late_received,
        &[
            power(ObservedPower::Starting, ChangeCause::Requested),
            Report::Booted { from: "disk sda".to_owned() },
            power(ObservedPower::Running, ChangeCause::Requested),
        ],
    )
    .await;
    assert!(early_received.try_recv().is_err(), "a stopped machine's timer must not fire");
}

#[tokio::test(start_paused = true)]
async fn the_guest_and_other_tools_are_reported_as_such() {
    let sim = sim();
    let (machine, mut received, control) = attach(&sim, "node-0");
    control.start().unwrap();
    expect(
        &mut received,
        &[
            power(ObservedPower::Starting, ChangeCause::Outside),
            Report::Booted { from: "disk sda".to_owned() },
            power(ObservedPower::Running, ChangeCause::Outside),
        ],
    )
    .await;
    control.reboot().unwrap();
    expect(&mut received, &[Report::Rebooted, Report::Booted { from: "disk sda".to_owned() }]).await;
    control.pause().unwrap();
    machine.resume().await.unwrap();
    expect(
        &mut received,
        &[
            power(ObservedPower::Paused, ChangeCause::Outside),
            power(ObservedPower::Running, ChangeCause::Requested),
        ],
    )
    .await;
    machine.nmi().await.unwrap();
    assert_eq!(control.nmi_count(), 1);
    control.crash().unwrap();
    expect(&mut received, &[power(ObservedPower::Off, ChangeCause::Crash)]).await;
    control.crash().unwrap();
    assert!(received.try_recv().is_err());
    machine.set_firmware(FirmwareMode::Uefi).await.unwrap();
    let Ok(Report::Info(info)) = received.try_recv() else { panic!("the switch is reported") };
    assert!(info.boot_targets.contains(&BootTarget::Http));
}

#[tokio::test(start_paused = true)]
async fn calls_fail_as_often_as_told() {
    let sim = sim();
    let (machine, mut received, control) = attach(&sim, "node-0");
    control.fail_next(SimOperation::Start, 2, BackendErrorKind::PermissionDenied).unwrap();
    for _ in 0..2 {
        let error = machine.start(&BootPlan::OwnOrder).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::PermissionDenied);
    }
    assert!(received.try_recv().is_err(), "a failed start does nothing");
    assert_eq!(control.observed().unwrap().power, ObservedPower::Off);
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    control.fail_next(SimOperation::Stop, 5, BackendErrorKind::Internal).unwrap();
    control.clear_faults();
    machine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_dawdle_and_hang_within_the_bound() {
    let sim = sim();
    let (machine, mut received, control) = attach(&sim, "node-0");
    let limit = SimConfig::default().call_timeout;
    let began = tokio::time::Instant::now();
    control.delay_next(SimOperation::Start, 1, Duration::from_secs(3)).unwrap();
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    assert_eq!(received.try_recv(), Ok(power(ObservedPower::Starting, ChangeCause::Requested)));

    control.hang_next(SimOperation::Stop, 1).unwrap();
    control.delay_next(SimOperation::Stop, 1, Duration::MAX).unwrap();
    for _ in 0..2 {
        let began = tokio::time::Instant::now();
        assert_eq!(machine.stop().await.unwrap_err().kind, BackendErrorKind::Timeout);
        assert_eq!(began.elapsed(), limit);
    }
    assert_eq!(control.observed().unwrap().power, ObservedPower::Running);
    machine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_machine_out_of_reach_goes_on_and_reports_itself_when_back() {
    let sim = sim();
    let (machine, mut received, control) = attach(&sim, "node-0");
    let (_other, mut other_received, _) = attach(&sim, "node-1");
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    control.set_outage(Some(unavailable()));
    control.set_outage(Some(unavailable()));
    expect(
        &mut received,
        &[power(ObservedPower::Starting, ChangeCause::Requested), Report::Unavailable(unavailable())],
    )
    .await;
    assert_eq!(machine.stop().await.unwrap_err(), unavailable());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(received.try_recv().is_err(), "told once, and nothing while out of reach");
    control.set_outage(None);
    let Some(Report::Available(observed)) = received.recv().await else { panic!("state first") };
    assert_eq!(observed.power, ObservedPower::Running);
    machine.stop().await.unwrap();
    assert!(other_received.try_recv().is_err(), "its neighbour heard nothing");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_dawdles_into_an_outage_does_nothing() {
    let sim = sim();
    let (machine, _received, control) = attach(&sim, "node-0");
    control.delay_next(SimOperation::Start, 1, Duration::from_secs(3)).unwrap();
    let plan = BootPlan::OwnOrder;
    let (result, ()) = tokio::join!(machine.start(&plan), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        control.set_outage(Some(unavailable()));
    });
    assert_eq!(result.unwrap_err(), unavailable());
    assert_eq!(control.observed().unwrap().power, ObservedPower::Off);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_takes_everything_along() {
    let sim = sim();
    let (machine, mut received, _control) = attach(&sim, "node-0");
    sim.disconnect(unavailable());
    assert_eq!(sim.find("node-0").await.unwrap_err(), unavailable());
    assert_eq!(sim.machines().await.unwrap_err(), unavailable());
    assert_eq!(machine.start(&BootPlan::OwnOrder).await.unwrap_err(), unavailable());
    let (reports, mut late) = channel();
    let _late = sim.attach(by_name("node-1"), reports);
    for received in [&mut received, &mut late] {
        assert_eq!(received.try_recv(), Ok(Report::Unavailable(unavailable())));
    }
    sim.reconnect();
    sim.reconnect();
    for received in [&mut received, &mut late] {
        assert!(matches!(received.try_recv(), Ok(Report::Available(_))));
        assert!(received.try_recv().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_after_detaching_and_the_machine_stays() {
    let sim = sim();
    let (machine, mut received, control) = attach(&sim, "node-0");
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    drop(machine);
    tokio::time::sleep(Duration::from_secs(60)).await;
    expect(&mut received, &[power(ObservedPower::Starting, ChangeCause::Requested)]).await;
    assert_eq!(received.recv().await, None, "the way of the reports was given back");
    assert_eq!(control.observed().unwrap().power, ObservedPower::Running);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_idle_machines_have_no_task_and_no_timer() {
    const MACHINES: usize = 10_000;
    let sim = sim();
    let tasks = Handle::current().metrics().num_alive_tasks();
    let machines: Vec<_> = (0..MACHINES).map(|index| attach(&sim, &format!("node-{index}"))).collect();
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
    assert!(sim.shared.world().timers.is_empty());
    let all = sim.machines().await.unwrap();
    let macs: HashSet<&String> = all.iter().flat_map(|info| &info.nics).map(|nic| &nic.mac).collect();
    assert_eq!(macs.len(), MACHINES * hardware::NICS.len(), "no two interfaces share an address");

    for (machine, ..) in &machines {
        machine.start(&BootPlan::OwnOrder).await.unwrap();
    }
    assert_eq!(sim.shared.world().timers.len(), MACHINES);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(
        machines.iter().all(|(_, _, control)| control.observed().unwrap().power == ObservedPower::Running)
    );
    assert!(sim.shared.world().timers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_simulator() {
    let before = Handle::current().metrics().num_alive_tasks();
    let sim = sim();
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before + 1);
    drop(sim);
    while Handle::current().metrics().num_alive_tasks() > before {
        tokio::task::yield_now().await;
    }
}

/// Reads what comes until it ends with `end`.
async fn reads(viewer: &mut bmc_core::console::Viewer, end: &str) -> String {
    let mut seen = String::new();
    while !seen.ends_with(end) {
        let bytes = viewer.take(usize::MAX).bytes;
        if bytes.is_empty() {
            assert!(viewer.changed().await);
        }
        seen.push_str(&String::from_utf8(bytes).unwrap());
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_machine_prints_its_life_and_obeys_who_types() {
    use bmc_core::console::{ConsoleInput, ConsoleState, InputError};
    let sim = sim();
    let (machine, mut received, control) = attach(&sim, "node-0");
    let console = machine.console().unwrap();
    let types = |text: &str| console.send(ConsoleInput::Bytes(text.as_bytes().to_vec()));
    let mut viewer = console.view();
    assert_eq!(types("x"), Err(InputError::Closed), "off");
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    assert_eq!(console.state(), ConsoleState::Open);
    let seen = reads(&mut viewer, "node-0 login: ").await;
    assert!(seen.contains("Self-test ... passed\r\nBooting from disk sda\r\n"), "{seen}");
    types("root\r").unwrap();
    reads(&mut viewer, "root@node-0:~$ ").await;
    control.pause().unwrap();
    types("never heard\r").unwrap();
    control.resume().unwrap();
    machine.nmi().await.unwrap();
    assert_eq!(reads(&mut viewer, "received.\r\n").await, "\r\nNon-maskable interrupt received.\r\n");

    while received.try_recv().is_ok() {}
    types("reboot\r").unwrap();
    assert_eq!(received.try_recv(), Ok(Report::Rebooted));
    let seen = reads(&mut viewer, "login: ").await;
    assert!(seen.contains("Simulated BIOS firmware"), "{seen}");
    types("root\rpoweroff\r").unwrap();
    let seen = reads(&mut viewer, "Power is off.\r\n").await;
    assert!(seen.contains("going down now"), "{seen}");
    assert!(matches!(console.state(), ConsoleState::Closed(_)));
    // Who comes late sees all of it.
    assert!(reads(&mut console.view(), "Power is off.\r\n").await.contains("Self-test"));
}

#[tokio::test(start_paused = true)]
async fn load_follows_the_guest_and_the_test() {
    let sim = sim();
    let (reports, mut received) = Reports::channel();
    let machine = sim.attach(by_name("node-0"), reports);
    let control = sim.control("node-0").unwrap();
    assert!(matches!(received.try_recv(), Ok(Report::Available(_))));
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    let mut loads = Vec::new();
    let mut next = async |wanted: usize| {
        let mut loads = Vec::new();
        while loads.len() < wanted {
            if let Some(Report::Statistics(now)) = received.recv().await {
                loads.push((now.cpu_percent, now.memory_percent));
            }
        }
        loads
    };
    loads.extend(next(3).await);
    assert_eq!(loads[..2], [(35, 5), (70, 20)]);
    let idle = loads[2];
    assert!(idle.0 < 10);
    control.set_load(Some(SimLoad { cpu_percent: 93, memory_percent: 60 })).unwrap();
    assert_eq!(next(1).await, [(93, 60)]);
    // Who comes later is told at once.
    let (late, mut late_received) = Reports::channel();
    let _late = sim.attach(by_name("node-0"), late);
    assert!(matches!(late_received.try_recv(), Ok(Report::Available(_))));
    let Ok(Report::Statistics(now)) = late_received.try_recv() else { panic!("load with the state") };
    assert_eq!(now.cpu_percent, 93);
    control.pause().unwrap();
    assert_eq!(next(1).await, [(0, 60)]);
    control.resume().unwrap();
    control.set_load(None).unwrap();
    assert_eq!(next(2).await, [(93, 60), idle]);
    machine.shutdown().await.unwrap();
    assert_eq!(next(1).await, [(45, 25)]);
}

#[tokio::test(start_paused = true)]
async fn every_stage_of_a_boot_is_told_in_every_run_and_to_who_comes_later() {
    use bmc_core::boot::BootStage::{OsLoading, OsRunning, SelfTest};
    let sim = sim();
    let (reports, mut received) = Reports::channel();
    let machine = sim.attach(by_name("node-0"), reports);
    machine.start(&BootPlan::OwnOrder).await.unwrap();
    let mut next = async || {
        loop {
            if let Some(Report::Stage(stage)) = received.recv().await {
                return stage;
            }
        }
    };
    for stage in [SelfTest, OsLoading, OsRunning] {
        assert_eq!(next().await, stage);
    }
    machine.reset(&BootPlan::OwnOrder).await.unwrap();
    assert_eq!(next().await, SelfTest);
    machine.reset(&BootPlan::OwnOrder).await.unwrap();
    assert_eq!(next().await, SelfTest, "the same stage, of another run");
    assert_eq!(next().await, OsLoading);
    let (late, mut late_received) = Reports::channel();
    let _late = sim.attach(by_name("node-0"), late);
    let told = std::iter::from_fn(|| late_received.try_recv().ok());
    assert!(told.into_iter().any(|report| report == Report::Stage(OsLoading)));
}
