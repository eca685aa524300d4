//! Answers that are given before their turn's write, and withheld until it has been done.

use super::accounts::Accounts;
use super::request::Durability;
use super::take::Tally;
use super::turn::Turn;
use crate::http::problem::Problem;
use penstock::log::Offset;
use std::rc::Rc;
use tokio::time::Instant;

/// A connection that can withhold an answer.
pub trait Withholds {
    /// From now on nothing leaves the connection, until [`release`](Self::release) or
    /// [`refuse`](Self::refuse). `false` when it cannot, because it withholds one already: then the answer
    /// waits for the write itself.
    #[must_use]
    fn withhold(&self) -> bool;

    /// The events are written: what was withheld may leave.
    fn release(&self);

    /// They are not: the problem leaves instead, and the connection ends behind it.
    fn refuse(&self, problem: &Problem);
}

/// An answer that is withheld until its group is written.
pub struct Promise {
    /// Who withholds it.
    pub connection: Rc<dyn Withholds>,
    /// The end of its group.
    pub to: Offset,
    /// When the request's head was there.
    pub started: Instant,
    /// What came of its events.
    pub tally: Tally,
}

impl Promise {
    /// Lets the answer go when its turn's write, which has been tried, has kept its group.
    pub fn settle(self, turn: &Turn, accounts: &Accounts) {
        match turn.of(self.to) {
            Some(Ok(())) => {
                accounts.acknowledge(Durability::Os, self.started, turn.written().unwrap_or_else(Instant::now));
                accounts.answered(&self.tally);
                self.connection.release();
            }
            Some(Err(not_written)) => {
                let problem = Problem::from(not_written);
                accounts.refused(&problem);
                self.connection.refuse(&problem);
            }
            None => debug_assert!(false, "promises are settled behind their turn's write"),
        }
    }
}
