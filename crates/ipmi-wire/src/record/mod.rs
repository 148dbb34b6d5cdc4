//! Records that outlive the command that carries them: read and written whole or in pieces, kept by the controller.

pub mod event_text;
pub mod fru;
pub mod sdr;
pub mod sel;
