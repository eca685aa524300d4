//! A reconcile over the panel's own sources, and what its verdict leaves behind: metrics, which
//! alerts look at, and the log. Somebody asks for one, or the clock does.

use super::{Sources, reconcile};
use crate::api::types::Reconciliation;
use crate::app::App;
use crate::reconcile::SourceError;
use actix_web::web;
use penstock::ledger::Ledger;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the sinks get to take in what is acknowledged, when the clock asks.
const WAIT: Duration = Duration::from_secs(60);
/// The first one by the clock waits at most so long after the start: a system that was down is
/// the one that most wants looking at, but its sinks have to catch up first.
const FIRST: Duration = Duration::from_secs(300);

/// Compares everything once, waiting up to `wait` for the sinks. The caller holds a permit of
/// [`App::reconciles`]: all of ClickHouse's rows are read.
///
/// Errors: [`SourceError`] when a source does not answer.
pub async fn judge<L: Ledger>(app: &App<L>, wait: Duration) -> Result<Reconciliation, SourceError> {
    let sources = Sources {
        progress: app.live.as_ref(),
        ledger: &app.ledger,
        archive: app.archive.as_ref(),
        dead: app.dead.as_ref(),
        pivot: &app.pivot,
        clock: app.clock.as_ref(),
    };
    let verdict = match reconcile(sources, wait).await {
        Ok(verdict) => verdict,
        Err(error) => {
            app.metrics.reconcile_failed();
            return Err(error);
        }
    };
    let found = verdict.differences.len() as u64 + verdict.differences_left_out;
    app.metrics.reconciled(found, verdict.complete, app.clock.now());
    if !verdict.equal {
        let first = verdict.differences.first().map(|d| d.message.as_str());
        tracing::error!(differences = found, first, "reconcile found differences");
    }
    Ok(verdict)
}

/// Judges once within every `every`, until `stop`; one that is under way then is given up.
pub async fn by_the_clock<L: Ledger>(app: web::Data<App<L>>, every: Duration, stop: CancellationToken) {
    app.metrics.reconcile_every.set(every.as_secs_f64());
    repeat(every, &stop, async || {
        let Ok(_permit) = app.reconciles.acquire().await else { return };
        if let Err(error) = judge(&app, WAIT).await {
            tracing::warn!(%error, "reconcile failed; it is tried again at its next time");
        }
    })
    .await;
}

/// Runs `job` over and over: first after [`FIRST`] or `every`, whichever is shorter. A job that
/// takes longer than `every` is followed by the next without a pause, never by two.
async fn repeat(every: Duration, stop: &CancellationToken, mut job: impl AsyncFnMut()) {
    let mut times = tokio::time::interval_at(tokio::time::Instant::now() + every.min(FIRST), every);
    times.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = times.tick() => {}
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = job() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use tokio::time::Instant;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test(start_paused = true)]
    async fn the_first_comes_soon_and_none_overlap() {
        let (stop, begun, times) = (CancellationToken::new(), Instant::now(), RefCell::new(Vec::new()));
        let mut left = 4;
        repeat(HOUR, &stop, async || {
            times.borrow_mut().push(begun.elapsed());
            // The second takes more than two hours.
            let long = if times.borrow().len() == 2 { HOUR * 5 / 2 } else { Duration::from_secs(30) };
            tokio::time::sleep(long).await;
            left -= 1;
            if left == 0 {
                stop.cancel();
            }
        })
        .await;
        let times: Vec<u64> = times.into_inner().iter().map(Duration::as_secs).collect();
        assert_eq!(times, [300, 3_900, 12_900, 16_500]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_does_not_wait_for_the_one_under_way() {
        let (stop, begun) = (CancellationToken::new(), Instant::now());
        let stopping = stop.clone();
        let job = async || {
            stopping.cancel();
            tokio::time::sleep(HOUR).await;
        };
        repeat(Duration::from_secs(60), &stop, job).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(60));
    }
}
