//! What a role still waits for: the reasons that its `/readyz` gives.
//!
//! Whoever waits writes one sentence under the name of what it waits for, and wipes it when it is
//! there. The same change is logged once, so a log tells when something went away and came back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Asked at each look: parts that can tell how they stand only then. Must return at once.
type Look = Box<dyn Fn() -> Vec<(String, String)> + Send + Sync>;

/// The reasons why a role is not ready. Cheap to clone.
#[derive(Clone, Default)]
pub struct Board(Arc<Inner>);

#[derive(Default)]
struct Inner {
    waits: Mutex<BTreeMap<String, String>>,
    looks: Mutex<Vec<Look>>,
}

impl Board {
    /// `part` is not there yet, because of `why`.
    pub fn waits(&self, part: &str, why: &str) {
        let before = self.lock().insert(part.to_owned(), why.to_owned());
        if before.as_deref() != Some(why) {
            tracing::warn!(part, why, "waiting");
        }
    }

    /// `part` is there.
    pub fn has(&self, part: &str) {
        if self.lock().remove(part).is_some() {
            tracing::info!(part, "is there");
        }
    }

    /// Asks `look` too, each time: pairs of a part and why it is not ready.
    pub fn look(&self, look: impl Fn() -> Vec<(String, String)> + Send + Sync + 'static) {
        self.0.looks.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(look));
    }

    /// All parts that are not ready, and why.
    pub fn reasons(&self) -> Vec<(String, String)> {
        let mut reasons: Vec<_> = self.lock().iter().map(|(part, why)| (part.clone(), why.clone())).collect();
        for look in self.0.looks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            reasons.extend(look());
        }
        reasons
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.0.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Tries until it works; the board says why it does not yet. `None` when `stop` comes first.
pub async fn until<T, E: std::fmt::Display>(
    board: &Board,
    part: &str,
    stop: &CancellationToken,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> Option<T> {
    let mut wait = FIRST_WAIT;
    loop {
        let tried = tokio::select! {
            tried = attempt() => tried,
            () = stop.cancelled() => return None,
        };
        match tried {
            Ok(there) => {
                board.has(part);
                return Some(there);
            }
            // `{:#}` joins the causes of an anyhow error.
            Err(error) => board.waits(part, &format!("{error:#}")),
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return None,
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_said_until_it_is_there() {
        let board = Board::default();
        board.look(|| vec![("archive/ads.click/0".to_owned(), "failed".to_owned())]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let mut tries = 0;
        let seen = board.clone();
        let there = runtime.block_on(until(&board, "ledger", &CancellationToken::new(), async || {
            tries += 1;
            assert_eq!(seen.reasons().len(), if tries == 1 { 1 } else { 2 });
            if tries < 3 { Err("nobody answers") } else { Ok(tries) }
        }));
        assert_eq!(there, Some(3));
        assert_eq!(board.reasons(), [("archive/ads.click/0".to_owned(), "failed".to_owned())]);
    }
}
