//! What the machine was and what else it did meanwhile: without that a figure says little.

use std::fs;

/// Processor time in the kernel's ticks, of the whole machine and of the programs that we started and waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// All time of all cores, idle or not.
    total: u64,
    idle: u64,
    ours: u64,
}

impl Usage {
    /// As it is now; `None` where there is no Linux `/proc`.
    pub(super) fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?, &fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn parse(machine: &str, own: &str) -> Option<Self> {
        // user nice system idle iowait irq softirq steal; guest time is in user already.
        let fields = machine.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
        let times: Vec<u64> = fields.map(|field| field.parse().unwrap_or(0)).collect();
        let idle = times.get(3)? + times.get(4)?;
        // The name before may hold anything; behind its bracket, fields 14 to 17 are our times and our children's.
        let (_, rest) = own.rsplit_once(')')?;
        let ours =
            rest.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
        Some(Self { total: times.iter().sum(), idle, ours })
    }

    /// The part of the machine, in per cent, that others used between `self` and `later`.
    fn others_until(self, later: Self) -> u64 {
        let busy = (later.total - later.idle).saturating_sub(self.total - self.idle);
        let others = busy.saturating_sub(later.ours.saturating_sub(self.ours));
        others * 100 / later.total.saturating_sub(self.total).max(1)
    }
}

/// One sentence about the machine and the time since `before`.
pub(super) fn describe(before: Option<Usage>) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("processor of unknown make", |(_, name)| name.trim());
    let others = before.zip(Usage::now()).map(|(before, now)| before.others_until(now));
    let others =
        others.map_or_else(String::new, |part| format!("; other programs used {part} % of them meanwhile"));
    format!("Measured on {cores} cores ({model}), shared by load generator and target{others}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(machine: &str, children: u64) -> Usage {
        let own = format!("7 (x task)) S 1 7 7 0 -1 4194304 9 9 0 0 10 5 {children} 0 20 0 1 0");
        Usage::parse(&format!("cpu  {machine} 99 0\ncpu0 1 2\n"), &own).unwrap()
    }

    #[test]
    fn what_is_neither_idle_nor_ours_is_of_others() {
        let before = usage("100 0 100 800 0 0 0 0", 0);
        assert_eq!(before, Usage { total: 1000, idle: 800, ours: 15 });
        let after = usage("300 0 300 1300 100 0 0 0", 250);
        // 1000 ticks went by, 400 of them busy, 250 of those ours.
        assert_eq!(before.others_until(after), 15);
        assert_eq!(before.others_until(before), 0);
    }

    #[test]
    fn this_machine_can_be_read() {
        assert!(Usage::now().is_some());
        assert!(describe(Usage::now()).contains("cores"));
    }
}
