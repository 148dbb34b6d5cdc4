//! RMCP+ and IPMI 1.5 sessions as sans-IO state machines: the BMC's side ([`Endpoint`]) and the console's ([`console::Console`]).
//!
//! Nothing here owns a socket, a clock, a source of randomness or a machine. Datagrams, the time and a random
//! generator come in as arguments; datagrams, events and the next time to be woken come out. A shell of a few lines
//! connects that to UDP, a test connects the two sides to each other in virtual time.
//!
//! ```text
//!            Open Session            RAKP 1                 RAKP 3, code right
//!   (none) ---------------> Opened ---------> Challenged -------------------> Active
//!                             |                   |                             |
//!          time-out, eviction |  time-out, error, | wrong code                  | Close Session, inactivity,
//!                             v                   v                             v user removed, shutdown
//!                          (none)              (none)                        (none)
//! ```
//!
//! A login of IPMI 1.5, if one is allowed at all, goes by Get Session Challenge to `Challenged` and by Activate Session to
//! `Active`; from there on there is no difference but in how packets are sealed.
//!
//! What the endpoint promises:
//! * outside a session only the commands of [`Endpoint::SESSIONLESS`] reach the handlers;
//! * a datagram of a session reaches them once, however often it arrives: a repetition is swallowed while the answer
//!   is pending and answered with the same message afterwards;
//! * whatever is not verified (integrity code, padding, checksum, sequence number) is dropped and changes nothing;
//! * every table has a bound, see [`limits`].

#![forbid(unsafe_code)]

mod challenge;
pub mod config;
pub mod console;
pub mod endpoint;
pub mod event;
mod handshake;
mod keys;
pub mod limits;
mod owned;
mod protect;
mod replay;
mod session;
pub mod sol;
pub mod user;
mod v15;
mod window;

pub use config::{AuthPolicy, Config, ConfigError, SuitePolicy};
pub use endpoint::Endpoint;
pub use event::{
    CloseReason, DropReason, Event, LoginFailure, Output, Received, Request, RequestToken, SessionInfo,
    Transmit,
};
pub use sol::{Pace, SolEnd, SolPolicy};
pub use user::{Password, User, UserLookup, UserName};
