//! The log by itself, and fed by a machine.

use ipmi_wire::record::sel::{EVM_REVISION, SENSOR_SPECIFIC};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn body(number: u8) -> SelBody {
    let event = EventMessage {
        revision: EVM_REVISION,
        sensor_type: 1,
        sensor_number: number,
        deasserted: false,
        event_type: SENSOR_SPECIFIC,
        data: [0xff; 3],
    };
    SelBody::Event { timestamp: 7, generator: 0x20, event }
}

/// A log, and what the store would hold of it.
#[derive(Default)]
struct Bench {
    sel: Sel,
    stored: BTreeMap<u64, SelEntry>,
}

impl Bench {
    fn change<T>(&mut self, change: impl FnOnce(&mut Sel, &mut SelWrites) -> T) -> T {
        let mut writes = SelWrites::new();
        let result = change(&mut self.sel, &mut writes);
        for (number, entry) in writes {
            match entry {
                Some(entry) => self.stored.insert(number, entry),
                None => self.stored.remove(&number),
            };
        }
        // What is stored is always the log.
        let loaded = Sel::load(*self.sel.state(), self.stored.values().copied().collect());
        assert_eq!(loaded.entries(), self.sel.entries());
        assert_eq!(loaded.next_id(), self.sel.next_id());
        result
    }

    fn add(&mut self) -> Result<u16, SelFull> {
        self.change(|sel, writes| sel.add(at(100), body(1), writes))
    }

    fn delete(&mut self, id: u16) -> bool {
        self.change(|sel, writes| sel.delete(at(200), id, writes))
    }

    fn clear(&mut self) {
        self.change(|sel, writes| sel.clear(at(300), writes));
    }

    fn fill(&mut self) -> usize {
        std::iter::from_fn(|| self.add().ok()).count()
    }

    fn own(&self, offset: u8) -> usize {
        let own = |entry: &&SelEntry| {
            entry.record.event().is_some_and(|event| {
                event.sensor_type == sensor_type::EVENT_LOGGING && event.offset() == offset
            })
        };
        self.sel.entries().iter().filter(own).count()
    }
}

#[test]
fn a_record_gets_its_id_and_time_from_the_log() {
    let mut bench = Bench::default();
    assert_eq!((bench.sel.last_addition(), bench.sel.state().last_erase), (None, None));
    assert_eq!(bench.add(), Ok(1));
    assert_eq!(bench.add(), Ok(2));
    let entry = *bench.sel.entry(2).unwrap();
    assert_eq!((entry.record.id, entry.record.timestamp(), entry.added), (2, Some(100), 100));
    assert_eq!(bench.sel.last_addition(), Some(100));
    assert_eq!(bench.sel.next_id(), 3);
}

#[test]
fn a_full_log_loses_nothing_and_says_so_once() {
    let mut bench = Bench::default();
    assert_eq!(bench.sel.room(), SEL_ENTRIES_MAX - 1);
    // One place each for "almost full" and "full".
    assert_eq!(bench.fill(), SEL_ENTRIES_MAX - 2);
    assert_eq!((bench.own(OFFSET_ALMOST_FULL), bench.own(OFFSET_FULL)), (1, 1));
    assert_eq!(bench.sel.entries().len(), SEL_ENTRIES_MAX);
    let mark = bench.sel.entries().last().unwrap();
    assert_eq!(mark.record.event().unwrap().sensor_type, sensor_type::EVENT_LOGGING);
    assert_eq!(bench.sel.state().full_mark, Some(mark.number));
    assert!(bench.sel.state().overflow);
    let before = bench.sel.clone();
    assert_eq!(bench.add(), Err(SelFull));
    assert_eq!(bench.sel, before);

    assert!(bench.delete(5));
    assert_eq!(bench.sel.room(), 1);
    assert!(bench.sel.state().overflow, "what is lost is lost until the log is cleared");
    assert_eq!(bench.add(), Ok(1025));
    assert_eq!(bench.add(), Err(SelFull));
    assert_eq!((bench.own(OFFSET_FULL), bench.sel.entries().len()), (1, SEL_ENTRIES_MAX));

    bench.clear();
    assert_eq!(bench.sel.state().last_erase, Some(300));
    assert!(!bench.sel.state().overflow && bench.sel.entries().is_empty());
    assert_eq!(bench.sel.room(), SEL_ENTRIES_MAX - 1);
    assert_eq!(bench.add(), Ok(1));
}

#[test]
fn entries_that_look_like_the_mark_of_a_full_log_are_bounded_like_all_others() {
    let mut bench = Bench::default();
    let forged = own_event(OFFSET_FULL);
    let added =
        (0..2000).filter(|_| bench.change(|sel, writes| sel.add(at(100), forged, writes)).is_ok()).count();
    assert_eq!((added, bench.sel.entries().len()), (SEL_ENTRIES_MAX - 2, SEL_ENTRIES_MAX));
    assert!(bench.sel.is_shut());
    // The log's own mark is the one it remembers, whatever else looks like it.
    let mark = bench.sel.entries().last().unwrap().number;
    assert_eq!(bench.sel.state().full_mark, Some(mark));
    assert!(bench.delete(1) && !bench.sel.is_shut());
    assert_eq!(bench.sel.room(), 1);
}

#[test]
fn a_log_beyond_its_bound_takes_nothing_and_finds_its_next_number() {
    let mut bench = Bench::default();
    bench.fill();
    let entry = bench.sel.entries()[0];
    let entries: Vec<SelEntry> = (1..=RECORD_ID_MAX).map(|number| SelEntry { number, ..entry }).collect();
    let mut sel = Sel::load(SelState::default(), entries);
    assert_eq!(sel.add(at(100), body(1), &mut SelWrites::new()), Err(SelFull));
    assert_eq!(sel.entries().len() as u64, RECORD_ID_MAX);
    assert!(sel.delete(at(100), entry.record.id, &mut SelWrites::new()));
}

#[test]
fn the_mark_of_a_full_log_can_be_deleted_and_comes_back() {
    let mut bench = Bench::default();
    bench.fill();
    let mark = bench.sel.entries().last().unwrap().record.id;
    assert!(bench.delete(mark));
    assert_eq!((bench.sel.room(), bench.own(OFFSET_FULL)), (0, 0));
    assert_eq!(bench.add(), Err(SelFull));
    assert_eq!(bench.own(OFFSET_FULL), 1);
}

#[test]
fn ids_begin_anew_and_never_name_two_records() {
    let mut bench = Bench::default();
    assert_eq!(bench.add(), Ok(1));
    let state = SelState { next_number: RECORD_ID_MAX, ..*bench.sel.state() };
    bench.sel = Sel::load(state, bench.stored.values().copied().collect());
    assert_eq!(bench.add(), Ok(0xfffe));
    assert_eq!(bench.add(), Ok(2), "1 is in use");
    let numbers: Vec<u64> = bench.sel.entries().iter().map(|entry| entry.number).collect();
    assert!(numbers.is_sorted());
    assert!(bench.delete(2));
    assert_eq!(bench.add(), Ok(3), "an id is not used again at once");
}

#[test]
fn erasing_is_counted_and_dated() {
    let mut bench = Bench::default();
    assert_eq!(bench.add(), Ok(1));
    assert!(!bench.delete(9));
    assert_eq!((bench.sel.erasures(), bench.sel.state().last_erase), (0, None));
    assert!(bench.delete(1));
    assert_eq!((bench.sel.erasures(), bench.sel.state().last_erase), (1, Some(200)));
    bench.clear();
    assert_eq!(bench.sel.erasures(), 2);
}

#[test]
fn the_clock_can_be_set() {
    let mut sel = Sel::default();
    assert_eq!(sel.time(at(1000)), 1000);
    sel.set_time(at(1000), 5);
    assert_eq!(sel.time(at(1010)), 15);
    sel.set_time(at(1000), u32::MAX);
    assert_eq!(sel.time(at(2000)), u32::MAX - 1, "the greatest value would mean that the time is unknown");
}
