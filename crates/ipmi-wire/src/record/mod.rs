//! Records that outlive the command that carries them: read and written in pieces, kept by the controller.

pub mod fru;
