//! The boot manager's variables: load options, and the order in which it tries them (UEFI 2.10, sections 3.1 and 3.3).

use super::path::DevicePath;
use super::store::{Edit, Store, to_utf16, utf16};

/// The order of load options, as numbers.
const ORDER: &str = "BootOrder";
/// It takes part in booting.
const ACTIVE: u32 = 1;
/// It shall be in no menu.
const HIDDEN: u32 = 8;
/// What it is for; 0 is booting.
const CATEGORY: u32 = 0x1f00;

/// A load option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadOption {
    pub(crate) number: u16,
    pub(crate) attributes: u32,
    pub(crate) description: String,
    pub(crate) path: DevicePath,
}

impl LoadOption {
    fn parse(number: u16, bytes: &[u8]) -> Option<Self> {
        let (attributes, rest) = bytes.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (description, taken) = utf16(rest)?;
        let path = rest.get(taken..)?.get(..usize::from(u16::from_le_bytes(*length)))?;
        let path = DevicePath::parse(path)?;
        Some(Self { number, attributes: u32::from_le_bytes(*attributes), description, path })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let path = self.path.to_bytes();
        let length = u16::try_from(path.len()).unwrap_or(u16::MAX);
        let parts =
            [&self.attributes.to_le_bytes()[..], &length.to_le_bytes(), &to_utf16(&self.description), &path];
        parts.concat()
    }

    /// Whether the boot manager boots from it by itself.
    pub(crate) fn boots(&self) -> bool {
        self.attributes & ACTIVE != 0
    }

    /// Whether it is one of what a user boots from, rather than a program of the firmware's own.
    pub(crate) fn is_shown(&self) -> bool {
        self.attributes & (HIDDEN | CATEGORY) == 0
    }
}

fn name(number: u16) -> String {
    format!("Boot{number:04X}")
}

/// The number in a load option's name.
fn number(name: &str) -> Option<u16> {
    let digits = name.strip_prefix("Boot").filter(|digits| digits.len() == 4)?;
    u16::from_str_radix(digits, 16).ok()
}

/// The numbers in `BootOrder`.
pub(crate) fn order(store: &Store) -> Vec<u16> {
    let bytes = store.get(ORDER).unwrap_or_default();
    bytes.chunks_exact(2).filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?))).collect()
}

/// All load options: those in the order first, as they stand there. What cannot be read is left out.
pub(crate) fn options(store: &Store) -> Vec<LoadOption> {
    let order = order(store);
    let read = |name: &str| LoadOption::parse(number(name)?, store.get(name)?);
    let mut options: Vec<LoadOption> = store.names().filter_map(read).collect();
    let place = |number| order.iter().position(|other| *other == number).unwrap_or(usize::MAX);
    options.sort_by_key(|option| (place(option.number), option.number));
    options
}

/// Adds a load option in front of all others.
///
/// # Errors
/// In words why there is no room.
pub(super) fn add_first(
    store: &mut Store,
    edit: &mut Edit,
    description: &str,
    path: DevicePath,
) -> Result<(), String> {
    let taken: Vec<u16> = store.names().filter_map(number).chain(order(store)).collect();
    let free =
        (0..=u16::MAX).find(|number| !taken.contains(number)).ok_or("all its boot options are taken")?;
    let option = LoadOption { number: free, attributes: ACTIVE, description: description.to_owned(), path };
    store.put(edit, &name(free), &option.to_bytes())?;
    let order: Vec<u16> = [free].into_iter().chain(order(store)).collect();
    put_order(store, edit, &order)
}

/// Removes a load option.
///
/// # Errors
/// In words why there is no room for the order without it.
pub(super) fn remove(store: &mut Store, edit: &mut Edit, option: u16) -> Result<(), String> {
    let mut order = order(store);
    if order.contains(&option) {
        order.retain(|number| *number != option);
        put_order(store, edit, &order)?;
    }
    let written = store.names().find(|name| number(name) == Some(option)).map(str::to_owned);
    if let Some(written) = written {
        store.delete(edit, &written);
    }
    Ok(())
}

fn put_order(store: &mut Store, edit: &mut Edit, order: &[u16]) -> Result<(), String> {
    if order.is_empty() {
        // An empty variable is none.
        store.delete(edit, ORDER);
        return Ok(());
    }
    let bytes: Vec<u8> = order.iter().flat_map(|number| number.to_le_bytes()).collect();
    store.put(edit, ORDER, &bytes)
}
