//! The matrix of boot overrides on real guests: target x once or for all boots x firmware x the way in which the boot comes about, with what
//! the guest said that it booted from, the first time and the second time.
//!
//! `docs/boot-matrix.md` holds the table. A run compares what it saw with it; with `POLYBMC_UPDATE_DOCS=1` it writes the rows that it has
//! run anew. Every pair of two parameters is in the default profile, every combination in the slow one. The cases of one firmware are one
//! life of one guest, over doors that take turns: one sets the override, another starts the boot, all of them read it back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a run of minutes tells how far it is")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use polybmc_tests::doors::{
    Action, CDROM, CYCLE, DISK, DOORS, Device, Door, GRACEFUL_RESTART, Lasting, Machine, OFF, ON, PXE, RESET,
    Reply, Shown, USB,
};
use polybmc_tests::lab::{Lab, SOON};
use testkit::guest::{Firmware, Guest, URI};
use testkit::{paths, wait};

const FIRMWARE: [Firmware; 2] = [Firmware::SeaBios, Firmware::Ovmf];
const TARGETS: [Device; 4] = [CDROM, USB, PXE, DISK];
const LASTING: [Lasting; 2] = [Lasting::Once, Lasting::Continuous];
/// In the order in which a guest lives through them: no second boot comes about as the first one of the next case, which would be taken
/// for a client's repetition if it came at once.
const WAYS: [Way; 5] =
    [Way::Power(ON), Way::Power(CYCLE), Way::Power(RESET), Way::Power(GRACEFUL_RESTART), Way::Inside];

/// How a boot comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Somebody asks the BMC for it.
    Power(Action),
    /// The guest restarts itself.
    Inside,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Power(ON) => "power on",
            Self::Power(CYCLE) => "cycle",
            Self::Power(RESET) => "reset",
            Self::Power(GRACEFUL_RESTART) => "graceful restart",
            Self::Inside => "reboot from inside",
            Self::Power(other) => panic!("{other:?} boots nothing"),
        }
    }

    /// How the second boot comes about: in another way, and one that takes no longer.
    fn second(self) -> Self {
        match self {
            Self::Power(ON | GRACEFUL_RESTART) => Self::Power(RESET),
            Self::Power(_) => Self::Inside,
            Self::Inside => Self::Power(CYCLE),
        }
    }
}

/// One place of the matrix: for each parameter the number of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Case([usize; 4]);

/// What a guest and its doors said in one case.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    first: String,
    left: &'static str,
    second: String,
}

impl Case {
    /// All of them, in the order of the table.
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for firmware in 0..FIRMWARE.len() {
            for target in 0..TARGETS.len() {
                for lasting in 0..LASTING.len() {
                    all.extend((0..WAYS.len()).map(|way| Self([firmware, target, lasting, way])));
                }
            }
        }
        all
    }

    fn firmware(self) -> Firmware {
        FIRMWARE[self.0[0]]
    }

    fn target(self) -> Device {
        TARGETS[self.0[1]]
    }

    fn lasting(self) -> Lasting {
        LASTING[self.0[2]]
    }

    fn way(self) -> Way {
        WAYS[self.0[3]]
    }

    /// What the machine's own order boots: never the target, or nothing would be shown.
    fn own(self) -> &'static str {
        if self.target() == DISK { "cdrom" } else { "disk" }
    }

    /// Who sets the override, who starts the boot where that is not the guest, and who is left.
    fn doors(self) -> [Door; 3] {
        let place = self.0.into_iter().fold(0, |place, value| place * 5 + value);
        let [one, two, three] = [place, place + 1, place + 2].map(|door| DOORS[door % 3]);
        match (self.way() == Way::Power(GRACEFUL_RESTART), place / 3 % 2 == 1) {
            // Only Redfish has a word for it.
            (true, swap) => {
                if swap {
                    [Door::Ipmi, Door::Redfish, Door::Cli]
                } else {
                    [Door::Cli, Door::Redfish, Door::Ipmi]
                }
            }
            (false, true) => [one, three, two],
            (false, false) => [one, two, three],
        }
    }

    fn expected(self) -> Seen {
        let (second, left) = match self.lasting() {
            Lasting::Once => (self.own(), "used up"),
            Lasting::Continuous => (self.target().shown, "kept"),
        };
        Seen { first: self.target().shown.to_owned(), left, second: second.to_owned() }
    }

    /// Every two of its values, as the numbers of parameter and value.
    fn pairs(self) -> impl Iterator<Item = [(usize, usize); 2]> {
        (0..self.0.len()).flat_map(move |one| {
            (one + 1..self.0.len()).map(move |other| [(one, self.0[one]), (other, self.0[other])])
        })
    }

    /// How many of its boots are over the network, which take more than twice as long; longest under OVMF.
    fn cost(self) -> usize {
        let boots = if self.lasting() == Lasting::Once { 1 } else { 2 };
        if self.target() == PXE { boots + self.0[0] } else { 0 }
    }

    /// How its row in the table begins.
    fn key(self) -> String {
        let firmware = if self.firmware() == Firmware::Ovmf { "UEFI" } else { "BIOS" };
        let lasting = if self.lasting() == Lasting::Once { "once" } else { "all boots" };
        format!("| {firmware} | {} | {lasting} | {} |", self.target().shown, self.way().name())
    }

    /// Its row in the table.
    fn row(self, seen: &Seen) -> String {
        let [setter, switch, _] = self.doors();
        let name = |door: Door| match door {
            Door::Ipmi => "IPMI",
            Door::Redfish => "Redfish",
            Door::Cli => "CLI",
        };
        let over = |way: Way, door: Door| if way == Way::Inside { "the guest" } else { name(door) };
        let second = self.way().second();
        format!(
            "{} {}, {} | {} | **{}** | {} | {}, {} | **{}** |",
            self.key(),
            name(setter),
            over(self.way(), switch),
            self.own(),
            seen.first,
            seen.left,
            second.name(),
            over(second, setter),
            seen.second
        )
    }
}

/// A small set with every pair of two values in it: each time the case with the most that are missing, of those the cheapest, of those
/// the one with the values that have been used least, of those the first.
fn pairwise() -> Vec<Case> {
    let all = Case::all();
    let mut missing: BTreeSet<_> = all.iter().copied().flat_map(Case::pairs).collect();
    let mut chosen = Vec::new();
    while !missing.is_empty() {
        let gain = |case: &Case| case.pairs().filter(|pair| missing.contains(pair)).count();
        let has = |case: &Case, (place, value): (usize, &usize)| case.0[place] == *value;
        let used = |case: &Case| -> usize {
            let values = case.0.iter().enumerate();
            values.map(|value| chosen.iter().filter(|other| has(other, value)).count()).sum()
        };
        let rank = |case: &Case| (Reverse(gain(case)), case.cost(), used(case));
        let best = all.iter().copied().min_by_key(rank).expect("the matrix is not empty");
        missing.retain(|pair| best.pairs().all(|covered| covered != *pair));
        chosen.push(best);
    }
    chosen
}

/// The order in which a guest of this firmware lives through its share: a change of its own order is once, and while it is off.
fn life(cases: &[Case], firmware: Firmware) -> Vec<Case> {
    let mut life: Vec<Case> = cases.iter().copied().filter(|case| case.firmware() == firmware).collect();
    life.sort_by_key(|case| (case.own() != "disk", case.0[3], case.0));
    life
}

/// Boots it, and asks the guest what came of it.
#[track_caller]
fn boot(machine: &Machine<'_>, guest: &mut Guest, way: Way, door: Door) -> String {
    match way {
        Way::Power(action) => {
            assert_eq!(machine.power(door, action), Reply::Done, "{action:?} over {door:?}")
        }
        Way::Inside => guest.tell("reboot"),
    }
    guest.next_boot().from
}

/// Switches it to where the way of the case begins.
fn prepare(machine: &Machine<'_>, guest: &mut Guest, case: Case) {
    let [setter, switch, _] = case.doors();
    let is_on = machine.is_on(Door::Cli);
    if case.way() == Way::Power(ON) && is_on {
        assert_eq!(machine.power(setter, OFF), Reply::Done);
        machine.await_power(false);
    } else if case.way() != Way::Power(ON) && !is_on {
        assert_eq!(boot(machine, guest, Way::Power(ON), switch), case.own());
    }
}

/// Runs one case. What is wrong with its boots is told, not thrown: the table shall show it.
fn run(machine: &Machine<'_>, guest: &mut Guest, case: Case) -> Seen {
    let [setter, switch, other] = case.doors();
    let (target, lasting) = (case.target(), case.lasting());
    prepare(machine, guest, case);
    assert_eq!(machine.set_boot(setter, Some(target), lasting), Some(Reply::Done), "{case:?}");
    machine.assert_boot(&Shown::device(target, lasting));
    let first = boot(machine, guest, case.way(), switch);
    machine.await_power(true);
    let left = what_is_left(machine, case);
    let second = boot(machine, guest, case.way().second(), setter);
    assert_eq!(what_is_left(machine, case), left, "after the second boot, {case:?}");
    if left != "used up" {
        assert_eq!(machine.set_boot(other, None, Lasting::Once), Some(Reply::Done));
        machine.assert_boot(&Shown::Nothing);
    }
    Seen { first, left, second }
}

/// What every door says of the override after a boot.
#[track_caller]
fn what_is_left(machine: &Machine<'_>, case: Case) -> &'static str {
    let [shown, redfish, ipmi] = [Door::Cli, Door::Redfish, Door::Ipmi].map(|door| machine.boot(door));
    assert!(shown == redfish && shown == ipmi, "{shown:?}, {redfish:?} and {ipmi:?} after {case:?}");
    match shown {
        Shown::Nothing => "used up",
        Shown::Override(..) if shown == Shown::device(case.target(), case.lasting()) => "kept",
        Shown::Override(..) => panic!("another override than what was set: {shown:?}, {case:?}"),
    }
}

/// Gives the guest the own order that the case needs.
fn give_own_order(machine: &Machine<'_>, guest: &Guest, case: Case) {
    let device = |own: &str| format!("<boot dev='{}'/>", if own == "disk" { "hd" } else { own });
    let definition = guest.definition();
    let wanted = device(case.own());
    if definition.contains(&wanted) {
        return;
    }
    assert_eq!(machine.power(Door::Redfish, OFF), Reply::Done);
    machine.await_power(false);
    let file = guest.folder().join("own-order.xml");
    std::fs::write(&file, definition.replace(&device("disk"), &wanted)).unwrap();
    guest.virsh(["define".as_ref(), file.as_os_str()]);
    assert!(guest.definition().contains(&wanted));
}

/// The life of one guest. The definition is the same after each case, to the byte.
fn matrix(cases: &[Case], firmware: Firmware) {
    let mut guest = Guest::define(firmware);
    let config = format!(
        "[backend.guests]\ntype = \"libvirt\"\nuri = {URI:?}\n\
         [[bmc]]\nname = \"web\"\nbackend = \"guests\"\nmachine = {:?}\n",
        guest.name()
    );
    let lab = Lab::builder(0).config(&config).start();
    wait::eventually("the domain was found", SOON, || {
        lab.json(&["show", "web", "-o", "json"])["uuid"] == guest.uuid()
    });
    let machine = Machine::of(&lab, "web");
    machine.await_power(false);
    let mut table = Vec::new();
    for case in life(cases, firmware) {
        give_own_order(&machine, &guest, case);
        let (definition, begun) = (guest.definition(), Instant::now());
        let seen = run(&machine, &mut guest, case);
        assert_eq!(guest.definition(), definition, "{case:?} has changed the definition");
        println!("{:5.1} s {}", begun.elapsed().as_secs_f32(), case.row(&seen));
        table.push((case, seen));
    }
    assert_eq!(machine.power(Door::Ipmi, OFF), Reply::Done);
    machine.await_power(false);
    let wrong: Vec<_> = table.iter().filter(|(case, seen)| *seen != case.expected()).collect();
    compare_with_document(&table);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const BEGIN: &str = "<!-- The table begins -->\n";
const END: &str = "<!-- The table ends -->\n";
const HEAD: &str = "| firmware | override | for | boot by | set over, booted over | own order | first boot | override after it | then by, over | second boot |\n\
    |---|---|---|---|---|---|---|---|---|---|\n";

fn document() -> PathBuf {
    paths::workspace().join("docs/boot-matrix.md")
}

/// The document before, in and behind its table.
fn parts(text: &str) -> [&str; 3] {
    let (before, rest) = text.split_once(BEGIN).expect("the document marks where its table begins");
    let (table, behind) = rest.split_once(END).expect("the document marks where its table ends");
    [before, table, behind]
}

/// The rows of a table by the case that they are of.
fn rows(table: &str) -> BTreeMap<[usize; 4], String> {
    let of = |row: &str| Case::all().into_iter().find(|case| row.starts_with(&case.key()));
    let lines = table.lines().skip(HEAD.lines().count());
    lines.map(|row| (of(row).unwrap_or_else(|| panic!("of no case: {row}")).0, row.to_owned())).collect()
}

fn compare_with_document(table: &[(Case, Seen)]) {
    let text = std::fs::read_to_string(document()).unwrap();
    let [before, present, behind] = parts(&text);
    let mut written = rows(present);
    // A row that nobody has written yet contradicts nothing.
    let differs =
        |(case, seen): &&(Case, Seen)| written.get(&case.0).is_some_and(|row| *row != case.row(seen));
    let differing: Vec<String> = table.iter().filter(differs).map(|(case, seen)| case.row(seen)).collect();
    if std::env::var_os("POLYBMC_UPDATE_DOCS").is_some() {
        written.extend(table.iter().map(|(case, seen)| (case.0, case.row(seen))));
        let lines: String = written.values().map(|row| format!("{row}\n")).collect();
        std::fs::write(document(), format!("{before}{BEGIN}{HEAD}{lines}{END}{behind}")).unwrap();
    } else {
        assert!(differing.is_empty(), "docs/boot-matrix.md does not say so:\n{}", differing.join("\n"));
    }
}

#[test]
fn guest_of_seabios_boots_what_every_pair_says() {
    matrix(&pairwise(), Firmware::SeaBios);
}

#[test]
fn guest_of_ovmf_boots_what_every_pair_says() {
    matrix(&pairwise(), Firmware::Ovmf);
}

/// All of it.
mod guests {
    use super::*;

    #[test]
    fn slow_seabios_boots_what_the_whole_matrix_says() {
        matrix(&Case::all(), Firmware::SeaBios);
    }

    #[test]
    fn slow_ovmf_boots_what_the_whole_matrix_says() {
        matrix(&Case::all(), Firmware::Ovmf);
    }
}

#[test]
fn the_small_set_has_every_pair_and_little_more() {
    let all = Case::all();
    assert_eq!(all.len(), FIRMWARE.len() * TARGETS.len() * LASTING.len() * WAYS.len());
    let chosen = pairwise();
    let pairs = |cases: &[Case]| cases.iter().copied().flat_map(Case::pairs).collect::<BTreeSet<_>>();
    assert_eq!(pairs(&chosen), pairs(&all));
    // Each target has to meet each way.
    let least = TARGETS.len() * WAYS.len();
    assert!((least..=least + 2).contains(&chosen.len()), "{}: {chosen:?}", chosen.len());
    // No case is run twice, and none by neither guest.
    let lived: Vec<Case> = FIRMWARE.into_iter().flat_map(|firmware| life(&chosen, firmware)).collect();
    assert_eq!(lived.len(), chosen.len());
    // Every door sets and boots, never both, and none is asked for what it has no word for.
    for place in [0, 1] {
        let used: Vec<Door> = chosen.iter().map(|case| case.doors()[place]).collect();
        assert!(DOORS.iter().all(|door| used.contains(door)), "{used:?}");
    }
    for case in all {
        let doors = case.doors();
        assert!(DOORS.iter().all(|door| doors.contains(door)), "{case:?} {doors:?}");
        assert!(case.way() != Way::Power(GRACEFUL_RESTART) || doors[1] == Door::Redfish, "{case:?}");
    }
}

#[test]
fn the_document_has_every_value_and_says_what_ought_to_be() {
    let text = std::fs::read_to_string(document()).unwrap();
    let written = rows(parts(&text)[1]);
    for (place, values) in [FIRMWARE.len(), TARGETS.len(), LASTING.len(), WAYS.len()].into_iter().enumerate()
    {
        let has = |value: usize| written.keys().any(|case| case[place] == value);
        assert!(
            (0..values).all(has),
            "rows are missing: POLYBMC_UPDATE_DOCS=1 cargo xtask test -- -p polybmc-tests --test boot_matrix"
        );
    }
    for (case, row) in written {
        let case = Case(case);
        assert_eq!(row, case.row(&case.expected()));
    }
}
