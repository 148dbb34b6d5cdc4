//! Of two requests that contradict each other the last one counts; one that changes nothing is no news.

use super::*;

#[test]
fn power_on_takes_back_a_shutdown_that_was_kept_for_later() {
    let mut bench = Bench::new(ObservedPower::Off);
    bench.power(PowerAction::On);
    bench.observe(ObservedPower::Starting);
    bench.finish(Ok(()));
    assert_eq!(bench.state(), PowerState::PoweringOn);
    let soft = bench.power(PowerAction::Soft);
    assert_eq!(bench.replies[&soft], Ok(Outcome::Accepted));
    let on = bench.power(PowerAction::On);
    assert_eq!(bench.replies[&on], Ok(Outcome::Joined));
    bench.observe(ObservedPower::Running);
    assert_eq!(bench.ops(), [], "nothing is shut down");
    assert_eq!(bench.state(), PowerState::On);
}

#[test]
fn a_boot_override_that_is_as_it_was_is_no_event() {
    let mut bench = Bench::new(ObservedPower::Off);
    for _ in 0..3 {
        bench.boot(BootTarget::Pxe, BootEnabled::Once);
    }
    let set = bench.events.iter().filter(|kind| matches!(kind, EventKind::BootOverrideSet { .. }));
    assert_eq!(set.count(), 1);
}
