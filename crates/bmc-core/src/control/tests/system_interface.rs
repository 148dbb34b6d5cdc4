//! The device by which a guest reaches its BMC.

use super::*;
use crate::system_interface::{SystemInterfaceDevice, SystemInterfaceKind};

fn device() -> Option<Box<SystemInterfaceDevice>> {
    Some(Box::new(SystemInterfaceDevice { kind: SystemInterfaceKind::Kcs, socket: "/run/vm.sock".into() }))
}

#[test]
fn a_device_is_the_backends_and_waits_for_a_fresh_boot() {
    let mut bench = Bench::new(ObservedPower::Running);
    let id = bench.request(Request::SetSystemInterface(device()));
    let busy = bench.request(Request::SetSystemInterface(None));
    assert!(matches!(bench.replies[&busy], Err(RequestError::Busy { .. })), "one call at a time");
    assert_eq!(bench.finish(Ok(())), Op::SetSystemInterface(device()));
    assert_eq!(bench.replies[&id], Ok(Outcome::Done));
    bench.report(Report::Rebooted);
    assert_eq!(bench.finish(Ok(())), Op::Reset(BootPlan::OwnOrder), "what runs has no device yet");
}

#[test]
fn a_refusal_is_no_power_fault() {
    let mut bench = Bench::new(ObservedPower::Off);
    let id = bench.request(Request::SetSystemInterface(device()));
    bench.finish(Err(BackendError::unsupported("no place for it")));
    assert!(
        matches!(&bench.replies[&id], Err(RequestError::Backend(error)) if error.message == "no place for it")
    );
    assert!(!bench.control.snapshot().power_fault);
    let on = bench.power(PowerAction::On);
    bench.finish(Ok(()));
    assert!(!bench.control.snapshot().power_fault && bench.replies.contains_key(&on));
}
