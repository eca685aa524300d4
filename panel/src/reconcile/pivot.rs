//! ClickHouse as the side that everything is compared with.

use super::sources::{Faults, Later, Pivot, PivotAt, PivotRow, SourceError};
use crate::statistics::{Question, Statistics, StatisticsError};
use penstock::log::{LogId, Offset};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Faults are looked for block by block, so that memory stays small whatever the log's length.
const BLOCK: u64 = 65_536;
/// Faulty blocks that are looked into.
const LOOKED_INTO: usize = 8;
/// Offsets named of each kind.
const NAMED: usize = 20;
/// Offsets asked for in one query.
const ASKED: usize = 2_000;

const WHERE: &str = "WHERE log_topic = {log: String} AND log_partition = {partition: UInt64} \
                     AND log_offset >= {from: UInt64} AND log_offset < {below: UInt64}";

#[derive(Deserialize)]
struct CountRow {
    event_type: String,
    campaign_id: u32,
    events: u64,
    nanos: String,
}

#[derive(Deserialize)]
struct AtRow {
    offset: u64,
    event_type: String,
    campaign_id: u32,
    nanos: String,
}

#[derive(Deserialize)]
struct Number {
    n: u64,
}

#[derive(Deserialize)]
struct BlockRow {
    block: u64,
    events: u64,
    offsets: u64,
}

#[derive(Deserialize)]
struct OffsetRow {
    offset: u64,
    n: u64,
}

fn question(name: &'static str, select: &'static str, log: &LogId, from: Offset, below: Offset) -> Question {
    Question::new(name, select)
        .and("FROM events")
        .and(WHERE)
        .text("log", log.name.as_ref())
        .uint("partition", u64::from(log.partition))
        .uint("from", from)
        .uint("below", below)
}

fn nanos(text: &str) -> Result<i128, StatisticsError> {
    text.parse().map_err(|_| StatisticsError::Refused(format!("{text:?} is no sum of nanos")))
}

impl Pivot for Statistics {
    fn counts<'a>(&'a self, log: &'a LogId, below: Offset) -> Later<'a, Vec<PivotRow>> {
        Box::pin(async move {
            let q = question(
                "reconcile_counts",
                "SELECT type AS event_type, campaign_id, count() AS events, \
                 toString(sum(toInt128(cost_nanos))) AS nanos",
                log,
                0,
                below,
            )
            .and("GROUP BY type, campaign_id");
            let rows = self.fresh::<CountRow>(&q).await?;
            rows.into_iter()
                .map(|r| {
                    let nanos = nanos(&r.nanos)?;
                    Ok(PivotRow { event_type: r.event_type, campaign_id: r.campaign_id, events: r.events, nanos })
                })
                .collect()
        })
    }

    fn distinct<'a>(&'a self, log: &'a LogId, below: Offset) -> Later<'a, u64> {
        Box::pin(async move {
            // groupBitmap is exact and needs about a bit a row, uniqExact some twenty bytes.
            let select = "SELECT toUInt64(groupBitmap(log_offset)) AS n";
            let rows = self.fresh::<Number>(&question("reconcile_distinct", select, log, 0, below)).await?;
            Ok(rows.first().map_or(0, |r| r.n))
        })
    }

    fn at<'a>(&'a self, log: &'a LogId, offsets: &'a [Offset]) -> Later<'a, Vec<PivotAt>> {
        Box::pin(async move {
            let mut found = Vec::new();
            for some in offsets.chunks(ASKED) {
                let (from, below) = (some.iter().min().copied().unwrap_or(0), some.iter().max().map_or(0, |o| o + 1));
                let select =
                    "SELECT log_offset AS offset, type AS event_type, campaign_id, toString(cost_nanos) AS nanos";
                let q = question("reconcile_rows", select, log, from, below)
                    .and("AND has({offsets: Array(UInt64)}, log_offset)")
                    .uints("offsets", some);
                for r in self.fresh::<AtRow>(&q).await? {
                    let nanos = nanos(&r.nanos)?;
                    let row = PivotRow { event_type: r.event_type, campaign_id: r.campaign_id, events: 1, nanos };
                    found.push(PivotAt { offset: r.offset, row });
                }
            }
            Ok(found)
        })
    }

    fn faults<'a>(
        &'a self,
        log: &'a LogId,
        below: Offset,
        dead: &'a BTreeSet<Offset>,
        surplus: &'a BTreeSet<Offset>,
    ) -> Later<'a, Faults> {
        Box::pin(async move {
            let mut faults = Faults::default();
            for block in self.faulty_blocks(log, below, dead, surplus).await?.into_iter().take(LOOKED_INTO) {
                let (from, to) = (block * BLOCK, ((block + 1) * BLOCK).min(below));
                let select = "SELECT log_offset AS offset, count() AS n";
                let q =
                    question("reconcile_block", select, log, from, to).and("GROUP BY log_offset ORDER BY log_offset");
                let rows = self.fresh::<OffsetRow>(&q).await?;
                let mut next = rows.iter().peekable();
                for offset in from..to {
                    let row = next.next_if(|r| r.offset == offset);
                    match row {
                        None if !dead.contains(&offset) => push(&mut faults.missing, offset),
                        Some(row) if row.n > 1 => push(&mut faults.doubled, offset),
                        _ => {}
                    }
                }
            }
            Ok(faults)
        })
    }
}

impl Statistics {
    /// Numbers of the blocks whose rows are not what log and dead letters let expect.
    async fn faulty_blocks(
        &self,
        log: &LogId,
        below: Offset,
        dead: &BTreeSet<Offset>,
        surplus: &BTreeSet<Offset>,
    ) -> Result<Vec<u64>, SourceError> {
        let select = "SELECT intDiv(log_offset, 65536) AS block, count() AS events, \
                      toUInt64(groupBitmap(log_offset)) AS offsets";
        let q = question("reconcile_blocks", select, log, 0, below).and("GROUP BY block ORDER BY block");
        let rows = self.fresh::<BlockRow>(&q).await?;
        let mut next = rows.iter().peekable();
        let mut faulty = Vec::new();
        for block in 0..below.div_ceil(BLOCK) {
            let (from, to) = (block * BLOCK, ((block + 1) * BLOCK).min(below));
            let of = |set: &BTreeSet<Offset>| set.range(from..to).count() as u64;
            let expected = (to - from) - of(dead) + of(surplus);
            let (events, offsets) = next.next_if(|r| r.block == block).map_or((0, 0), |r| (r.events, r.offsets));
            if events != expected || offsets != expected {
                faulty.push(block);
            }
        }
        Ok(faulty)
    }
}

fn push(list: &mut Vec<Offset>, offset: Offset) {
    if list.len() < NAMED {
        list.push(offset);
    }
}
