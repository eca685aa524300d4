//! The stop list: which campaigns the ad server must not serve, answered without a lock.
//!
//! One writer (the [`follow`] task) takes in the campaign-state log; readers look a campaign up
//! in an immutable map of its shard. Watchers (long polls, event streams) keep nothing here but
//! the version they know: they pull what came since from one bounded history, so a slow one
//! costs nothing and is given the full set when it has fallen out of the history.

mod board;
pub mod follow;
mod history;
pub mod snapshot;

pub use board::{Answer, StopList};
pub use history::{Change, Since};
