//! The simulator backend: machines with POST, an operating system and boot devices, and no hypervisor.
//!
//! A machine exists as soon as a BMC is attached to its name, off at first. It takes time to power on and to shut down, boots
//! the device that the core's [`BootPlan`](bmc_core::boot::BootPlan) names and says which one that was, restarts from inside,
//! crashes, and fails on demand; the latter through [`SimControl`], which stands for everything that is not the BMC: the guest,
//! other tools, bad luck.
//!
//! * [`config`]: how long things take and what machines are made of.
//! * [`hardware`]: a machine's make-up, derived from the seed and its UUID, and what a boot plan means on it.
//! * [`machine`]: one machine as a pure state machine; time comes in as an argument.
//! * [`faults`]: what a machine was told to do wrong.
//! * [`terminal`]: what a machine prints on its serial line, and who answers there.
//! * `variables`: Secure Boot and its keys.
//! * `load`: how busy a guest is in each phase.
//! * [`backend`]: the shell: all machines behind one lock, all their timers in one queue and one task.
//! * [`control`]: the handle for tests and for people.
//!
//! State lives as long as the process. What a machine's firmware keeps is handed to whoever attaches a BMC, and taken back from there by the
//! next process; identity (UUID, MAC addresses) follows from the seed and the name and so survives it.

pub mod backend;
pub mod config;
pub mod control;
pub mod faults;
pub mod hardware;
mod load;
pub mod machine;
pub mod screen;
mod serial;
pub mod terminal;
mod variables;

pub use backend::SimBackend;
pub use config::SimConfig;
pub use control::SimControl;
pub use faults::SimOperation;
pub use load::SimLoad;
