//! The variable store of EDK2's firmware, as it lies in the flash image that libvirt calls `<nvram>`.
//!
//! ```text
//!   firmware volume header     "_FVH", its own length, a checksum
//!   variable store header      the GUID of authenticated variables, size, state
//!   variable, variable, ...    header, name (UTF-16), data; each at a multiple of four
//!   0xff ...                   room for more
//!   (behind the store: what EDK2 needs to replace the store as a whole; not looked at)
//! ```
//!
//! Flash loses bits one by one and gains them only in blocks, so EDK2 never changes a variable: it appends a new one, and clears bits in the
//! state byte of the old. We change a store in the same way and in the same order, one byte last: whatever stops in between leaves a store that
//! the firmware reads as before or as after.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// Largest store read, in bytes; OVMF's is 528 KiB, ARM's 64 MiB image holds 768 KiB of it.
pub(super) const FILE_BYTES_MAX: usize = 1 << 20;
/// Most variables kept of a store; a full one of 256 KiB holds fewer.
const VARIABLES_MAX: usize = 4096;

/// `gEfiSystemNvDataFvGuid`.
const VOLUME: [u8; 16] =
    [0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c, 0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50];
/// `gEfiAuthenticatedVariableGuid`.
const AUTHENTICATED: [u8; 16] =
    [0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92];
/// `gEfiGlobalVariableGuid`: the vendor of the boot manager's variables.
pub(super) const GLOBAL: [u8; 16] =
    [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c];

/// Non-volatile, for the firmware and for the system: the attributes of the boot manager's variables.
const ATTRIBUTES: u32 = 7;
/// Length of a store's header.
const STORE_HEADER: usize = 28;
/// Length of a variable's header.
const HEADER: usize = 60;
/// What a variable starts with.
const START: u16 = 0x55aa;
/// A store that is formatted, and one that is sound.
const SOUND: [u8; 2] = [0x5a, 0xfe];
/// Where a variable's header has its state.
const STATE: usize = 2;
/// The states: in force; in force until its successor is.
const ADDED: u8 = 0x3f;
const ADDED_UNTIL_NEXT: u8 = 0x3e;
/// The bit that a deleted variable has lost.
const DELETED: u8 = !0x02;

/// One variable in force.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Variable {
    name: String,
    vendor: [u8; 16],
    at: usize,
    data: Range<usize>,
}

/// A store in memory.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    bytes: Vec<u8>,
    variables: Vec<Variable>,
    /// Where the next variable goes, and where the store ends.
    free: Range<usize>,
}

/// A change of a store's file, one write after the other.
#[derive(Debug, Default)]
pub(super) struct Edit(Vec<(usize, Vec<u8>)>);

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn size_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(array(bytes, at)?)).ok()
}

fn aligned(at: usize) -> usize {
    at.next_multiple_of(4)
}

/// The text of UTF-16 up to a NUL, and how many bytes it took with it; `None` without a NUL.
pub(super) fn utf16(bytes: &[u8]) -> Option<(String, usize)> {
    let units = || bytes.chunks_exact(2).filter_map(|unit| u16_at(unit, 0));
    let length = units().position(|unit| unit == 0)?;
    let text =
        char::decode_utf16(units().take(length)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
    Some((text.collect(), (length + 1) * 2))
}

/// Text as UTF-16 with its NUL.
pub(super) fn to_utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

impl Store {
    /// Reads a flash image.
    ///
    /// # Errors
    /// In words why it is no store that can be read.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        if bytes.starts_with(b"QFI\xfb") {
            return Err("it is a qcow2 image; only raw variable stores can be read".to_owned());
        }
        let body = Self::body(&bytes).ok_or("it is no variable store of EDK2's firmware")?;
        let (variables, free) = Self::list(&bytes, body.clone());
        Ok(Self { variables, free: free..body.end, bytes })
    }

    /// Where the variables are.
    fn body(bytes: &[u8]) -> Option<Range<usize>> {
        let header = usize::from(u16_at(bytes, 48)?);
        let words = bytes.get(..header)?.chunks_exact(2).filter_map(|word| u16_at(word, 0));
        let sum = words.fold(0_u16, u16::wrapping_add);
        let is_volume = array(bytes, 16)? == VOLUME && array(bytes, 40)? == *b"_FVH" && sum == 0;
        let size = size_at(bytes, header + 16)?;
        let end = header.checked_add(size)?;
        let is_store = array(bytes, header)? == AUTHENTICATED && array(bytes, header + 20)? == SOUND;
        let start = aligned(header + STORE_HEADER);
        (is_volume && is_store && start <= end && end <= bytes.len()).then_some(start..end)
    }

    /// The variables in force, and where the room behind the last one begins.
    fn list(bytes: &[u8], body: Range<usize>) -> (Vec<Variable>, usize) {
        let (mut found, mut leaving) = (Vec::new(), Vec::new());
        let mut at = body.start;
        while u16_at(bytes, at) == Some(START) && at < body.end {
            let Some((variable, state, end)) = Self::variable(bytes, at, body.end) else { break };
            match (variable, state) {
                (Some(variable), ADDED) if found.len() < VARIABLES_MAX => found.push(variable),
                (Some(variable), ADDED_UNTIL_NEXT) if leaving.len() < VARIABLES_MAX => leaving.push(variable),
                _ => {}
            }
            at = aligned(end);
        }
        for old in leaving {
            if !found.iter().any(|new| (&new.name, new.vendor) == (&old.name, old.vendor)) {
                found.push(old);
            }
        }
        (found, at)
    }

    /// The variable at `at`, with its state and its end; without a name it is none that anybody could ask for.
    fn variable(bytes: &[u8], at: usize, end: usize) -> Option<(Option<Variable>, u8, usize)> {
        let state = *bytes.get(at + STATE)?;
        let (name_size, data_size) = (size_at(bytes, at + 36)?, size_at(bytes, at + 40)?);
        let data_at = at.checked_add(HEADER)?.checked_add(name_size)?;
        let data_end = data_at.checked_add(data_size).filter(|data_end| *data_end <= end)?;
        let vendor = array(bytes, at + 44)?;
        let name = bytes.get(at + HEADER..data_at).and_then(utf16);
        let variable = name.map(|(name, _)| Variable { name, vendor, at, data: data_at..data_end });
        Some((variable, state, data_end))
    }

    fn find(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.vendor == GLOBAL && variable.name == name)
    }

    /// What a variable of the boot manager holds.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_of(&GLOBAL, name)
    }

    /// What a variable of another vendor holds.
    pub(crate) fn get_of(&self, vendor: &[u8; 16], name: &str) -> Option<&[u8]> {
        let is_it = |variable: &&Variable| variable.vendor == *vendor && variable.name == name;
        self.bytes.get(self.variables.iter().find(is_it)?.data.clone())
    }

    /// The names of the boot manager's variables.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().filter(|variable| variable.vendor == GLOBAL).map(|variable| &*variable.name)
    }

    /// Appends a variable of the boot manager, in place of the one of that name.
    ///
    /// # Errors
    /// In words why there is no room.
    pub(super) fn put(&mut self, edit: &mut Edit, name: &str, data: &[u8]) -> Result<(), String> {
        let text = to_utf16(name);
        let at = self.free.start;
        let end = at + HEADER + text.len() + data.len();
        let room = self.bytes.get(at..end).filter(|_| end <= self.free.end);
        let room =
            room.ok_or("its variable store is full; the firmware clears it up when the guest boots")?;
        if room.iter().any(|byte| *byte != 0xff) {
            return Err("its variable store is damaged behind the last variable; the firmware mends it when the guest boots".to_owned());
        }
        let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        let mut new = Vec::with_capacity(end - at);
        new.extend(START.to_le_bytes());
        new.extend([0xff, 0]);
        new.extend(ATTRIBUTES.to_le_bytes());
        // Count, time and key of signed variables, which these are not.
        new.extend([0; 28]);
        new.extend(size(text.len()));
        new.extend(size(data.len()));
        new.extend(GLOBAL);
        new.extend(text);
        new.extend(data);
        self.write(edit, at, new);
        let old = self.find(name).map(|old| old.at);
        if let Some(old) = old {
            self.write(edit, old + STATE, vec![ADDED_UNTIL_NEXT]);
        }
        self.write(edit, at + STATE, vec![ADDED]);
        if let Some(old) = old {
            self.write(edit, old + STATE, vec![ADDED_UNTIL_NEXT & DELETED]);
        }
        self.variables.retain(|variable| Some(variable.at) != old);
        let data = end - data.len()..end;
        self.variables.push(Variable { name: name.to_owned(), vendor: GLOBAL, at, data });
        self.free.start = aligned(end).min(self.free.end);
        Ok(())
    }

    /// Deletes a variable of the boot manager, if it is there.
    pub(super) fn delete(&mut self, edit: &mut Edit, name: &str) {
        if let Some(at) = self.find(name).map(|variable| variable.at) {
            let state = self.bytes.get(at + STATE).copied().unwrap_or(ADDED);
            self.write(edit, at + STATE, vec![state & DELETED]);
            self.variables.retain(|variable| variable.at != at);
        }
    }

    fn write(&mut self, edit: &mut Edit, at: usize, bytes: Vec<u8>) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(&bytes);
            edit.0.push((at, bytes));
        }
    }
}

impl Edit {
    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes it, each step on the disk before the next.
    ///
    /// # Errors
    /// The operating system's; the store is then as it was before or as it is after a step.
    pub(super) fn apply(&self, file: &File) -> io::Result<()> {
        for (at, bytes) in &self.0 {
            file.write_all_at(bytes, *at as u64)?;
            file.sync_data()?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
