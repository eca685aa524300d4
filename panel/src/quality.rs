//! Whether data can be trusted: what was put away, what came twice, late, or for nobody.

use crate::api::params::Span;
use crate::api::problem::Problem;
use crate::api::types::{Booked, DeadCount, Late, Quality, Sum};
use crate::app::App;
use crate::statistics::{Delivered, StatisticsError};
use penstock::ledger::{Books, Ledger, Sums, Tally};
use std::collections::BTreeMap;

/// What there is to say of the events of `span`; dead letters and the ledger's sums are of all time.
///
/// Errors: a source does not answer.
pub(crate) async fn quality<L: Ledger>(app: &App<L>, span: Span) -> Result<Quality, Problem> {
    let (dead, books, delays, twice) =
        futures::join!(app.dead.counts(), app.ledger.books(), app.heavy.delays(span), app.heavy.delivered_twice(span));
    let (dead, books, delays) = (dead?, books?, delays?);
    let delivered_twice = match twice {
        Ok(n) => Some(n),
        // Its memory grows with the events; the rest is known all the same.
        Err(StatisticsError::TooExpensive(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Quality {
        dead_total: dead.values().sum(),
        dead: dead.into_iter().map(|((sink, code), count)| DeadCount { sink, code, count }).collect(),
        duplicates: booked(&books, |sums| sums.duplicate),
        unattributed: booked(&books, |sums| sums.unattributed),
        late: late(delays),
        future_events: delays.future,
        delivered_twice,
    })
}

fn booked(books: &Books, of: impl Fn(&Sums) -> Tally) -> Vec<Booked> {
    let mut sums = BTreeMap::<(String, String), Tally>::new();
    for partition in &books.partitions {
        for (kind, booked) in &partition.by_range {
            sums.entry((partition.log.name.to_string(), kind.clone())).or_default().add(of(booked));
        }
    }
    let row = |((log, event_type), tally): ((String, String), Tally)| Booked {
        log,
        event_type,
        events: tally.events,
        nanos: Sum(tally.nanos),
    };
    sums.into_iter().filter(|(_, tally)| tally.events > 0).map(row).collect()
}

fn late(delays: Delivered) -> Vec<Late> {
    let buckets = [
        ("<1m", delays.minute),
        ("1-10m", delays.ten),
        ("10-60m", delays.hour),
        ("1-24h", delays.day),
        (">24h", delays.more),
    ];
    buckets.into_iter().map(|(bucket, events)| Late { bucket: bucket.to_owned(), events }).collect()
}
