//! One event with the places where it lies: log, statistics, archive.

use crate::api::params::Span;
use crate::api::problem::Problem;
use crate::api::types::{Event, Place, Placed};
use crate::app::App;
use crate::statistics::{EventFilter, Order};
use penstock::ledger::Ledger;
use penstock::log::LogId;
use penstock::time::Micros;
use std::time::Duration;

/// Deliveries of one id that are shown.
const DELIVERIES: u64 = 100;
/// How far an event's time lies from when its id was made, as a rule.
const NEAR: Duration = Duration::from_secs(86_400);

/// Everything that was delivered under `id`, the oldest first; empty when nothing was.
///
/// Without a range, an id that tells its time (UUIDv7) is looked for around it first: only when it
/// is not there, everywhere.
///
/// Errors: ClickHouse does not answer, or needs more than it may have.
pub(crate) async fn by_id<L: Ledger>(app: &App<L>, id: uuid::Uuid, span: Span) -> Result<Vec<Placed>, Problem> {
    let filter = |span| EventFilter { id: Some(id), span, ..EventFilter::default() };
    let look = async |span| app.statistics.events(&filter(span), Order::Oldest, None, DELIVERIES).await;
    let mut found = Vec::new();
    if span == Span::default()
        && let Some(made) = made(id)
    {
        found = look(Span { start: Some(made.minus(NEAR)), end: Some(made.plus(NEAR)) }).await?;
    }
    if found.is_empty() {
        found = look(span).await?;
    }
    Ok(futures::future::join_all(found.into_iter().map(|event| placed(app, event))).await)
}

/// When a UUIDv7 was made, if that is a time at all.
fn made(id: uuid::Uuid) -> Option<Micros> {
    let (seconds, nanos) = id.get_timestamp().filter(|_| id.get_version_num() == 7)?.to_unix();
    let seconds = i64::try_from(seconds).ok().filter(|s| *s < 10_000_000_000)?;
    Some(Micros::from_secs(seconds).plus(Duration::from_nanos(u64::from(nanos))))
}

async fn placed<L: Ledger>(app: &App<L>, event: Event) -> Placed {
    let log = LogId { name: event.log.as_str().into(), partition: event.partition };
    let archive = app.archive.locate(&event.event_type, event.time.0, &log, event.offset).await;
    if let Err(error) = &archive {
        tracing::warn!(%error, "where an event lies in the archive is not known");
    }
    let place =
        Place { log: event.log.clone(), partition: event.partition, offset: event.offset, archive: archive.ok() };
    Placed { event, place }
}
