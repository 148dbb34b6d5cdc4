//! What a simulated guest makes of its processors and memory: a plain function of what it is doing, so that it costs no timer.
//!
//! | doing | processors | memory |
//! |---|---|---|
//! | self-test | 35 % | 5 % |
//! | setup screen | 12 % | 5 % |
//! | operating system loads | 70 % | 20 % |
//! | up, idle | 2 to 9 %, by the machine | 30 to 59 %, by the machine |
//! | shutting down | 45 % | 25 % |

use bmc_core::backend::Statistics;
use uuid::Uuid;

/// What a guest is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    Off,
    Post,
    Setup,
    Loading,
    Up,
    GoingDown,
}

/// Load that a test asked for, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimLoad {
    /// Of all processors together, 0 to 100.
    pub cpu_percent: u8,
    /// Of the memory, 0 to 100.
    pub memory_percent: u8,
}

/// A machine's habits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    idle_cpu: u8,
    idle_memory: u8,
    /// What the operating system is made to do instead of being idle.
    pub(crate) forced: Option<SimLoad>,
}

impl Load {
    /// The habits of a machine; the same for the same seed and machine.
    pub(crate) fn new(seed: u64, uuid: Uuid) -> Self {
        let [cpu, memory, ..] = *Uuid::new_v5(&uuid, &seed.to_le_bytes()).as_bytes();
        Self { idle_cpu: 2 + cpu % 8, idle_memory: 30 + memory % 30, forced: None }
    }

    /// What the machine does now. A paused one holds its memory and does nothing.
    pub(crate) fn statistics(&self, activity: Activity, paused: bool) -> Statistics {
        let (cpu, memory) = match activity {
            Activity::Off => (0, 0),
            Activity::Post => (35, 5),
            Activity::Setup => (12, 5),
            Activity::Loading => (70, 20),
            Activity::Up => match self.forced {
                Some(load) => (load.cpu_percent.min(100), load.memory_percent.min(100)),
                None => (self.idle_cpu, self.idle_memory),
            },
            Activity::GoingDown => (45, 25),
        };
        let cpu_percent = if paused { 0 } else { cpu };
        Statistics { cpu_percent, memory_percent: memory, ..Statistics::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_load_is_the_machines_own_and_small() {
        for n in 0..200 {
            let uuid = Uuid::from_u128(n);
            let load = Load::new(7, uuid);
            assert_eq!(load, Load::new(7, uuid));
            let idle = load.statistics(Activity::Up, false);
            assert!((2..10).contains(&idle.cpu_percent) && (30..60).contains(&idle.memory_percent));
            let paused = load.statistics(Activity::Up, true);
            assert_eq!((paused.cpu_percent, paused.memory_percent), (0, idle.memory_percent));
        }
        let loads: std::collections::BTreeSet<u8> =
            (0..50).map(|n| Load::new(7, Uuid::from_u128(n)).idle_cpu).collect();
        assert!(loads.len() > 3, "machines differ");
    }

    #[test]
    fn what_a_test_asks_for_shows_while_the_system_is_up() {
        let forced = Some(SimLoad { cpu_percent: 250, memory_percent: 77 });
        let load = Load { forced, ..Load::new(0, Uuid::nil()) };
        let up = load.statistics(Activity::Up, false);
        assert_eq!((up.cpu_percent, up.memory_percent), (100, 77));
        assert_eq!(load.statistics(Activity::Loading, false).cpu_percent, 70);
        assert_eq!(load.statistics(Activity::Off, false), Statistics::default());
    }
}
