//! Actors: lifecycle, supervision and control. Data never travels through mailboxes event by event.
//!
//! An actor is a shell over a plain struct that is tested without it. What actix does not give is
//! here: sends that respect the mailbox's bound ([`mailbox`]), panics that count as failures,
//! restarts with back-off where everything is built anew under a generation number, and a stop
//! with a deadline ([`Supervisor`]).
//!
//! ```text
//! Supervisor (root actor, the main thread) ── mailbox: pipeline.control_mailbox
//!   ├─ child actor ── mailbox: pipeline.control_mailbox ── one generation: a future, pulling
//!   └─ …            on one of pipeline.threads arbiter threads, or on the main thread
//! ```

mod child;
#[cfg(feature = "cluster")]
mod group;
pub mod mailbox;
mod pipeline;
mod supervisor;
#[cfg(test)]
mod tests;

pub use child::{Child, ChildState, ChildStatus, Ended, Incarnation, Place};
#[cfg(feature = "cluster")]
pub use group::{Handles, Life, group_child};
pub use mailbox::{AskError, Mailbox, SendError};
pub use pipeline::pipeline_child;
pub use supervisor::{AddError, StopReport, Supervisor};
