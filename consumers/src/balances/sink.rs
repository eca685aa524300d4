//! The sink itself: decodes the few columns that money needs, prices, groups, books.

use arrow::array::{
    Array, FixedSizeBinaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use penstock::codec::columns::{ColumnDecoder, ColumnsError, Decoded};
use penstock::ledger::{Batch, Change, Grouper, Ledger, LedgerError, Unique, quarter};
use penstock::log::{LogId, Position, Range, Records};
use penstock::pipeline::{Held, Poison, PoisonCode, Sink, SinkError};
use penstock::pricing::{Price, Priced, PricedAs, Snapshot};
use penstock::telemetry::BalancesMetrics;
use penstock::time::Micros;

const COLUMNS: [&str; 6] = ["id", "time", "received", "campaign_id", "tag", "price_micros"];

/// Charges the events of a log partition to their campaigns, in one transaction a range.
pub struct BalancesSink<L> {
    ledger: L,
    decoder: ColumnDecoder,
    grouper: Grouper,
    metrics: BalancesMetrics,
}

/// A range ready to be booked. An error is a fault of ours (columns of another kind than asked
/// for), told when it is to be written.
pub type Prepared = Result<Batch, String>;

impl<L: Ledger> BalancesSink<L> {
    /// A sink into `ledger`. Errors: [`ColumnsError`] when the event types lack a column.
    pub fn new(ledger: L, metrics: BalancesMetrics) -> Result<Self, ColumnsError> {
        Ok(BalancesSink { ledger, decoder: ColumnDecoder::new(&COLUMNS)?, grouper: Grouper::new(), metrics })
    }

    fn group(&mut self, range: Range, records: &Records, catalogue: &Snapshot, bad: &mut Vec<Poison>) -> Prepared {
        let decoded = self.decoder.decode(records, bad).map_err(|e| e.to_string())?;
        let columns = Columns::of(&decoded.batch)?;
        for (row, kind) in decoded.types.iter().enumerate() {
            let event = columns.priced(row, kind.priced_as);
            let price = match catalogue.price(&event) {
                Ok(price) => price,
                Err(error) => {
                    bad.push(unpriceable(&decoded, row, records, error.to_string()));
                    continue;
                }
            };
            self.add(&columns, row, kind.name, &event, price);
        }
        let mut batch = self.grouper.finish(0);
        // Whatever was not grouped went to the dead letters, holes of the log included.
        batch.poison = range.len().saturating_sub(batch.events());
        Ok(batch)
    }

    fn add(&mut self, columns: &Columns<'_>, row: usize, kind: &'static str, event: &Priced<'_>, price: Price) {
        let once = matches!(event.priced_as, PricedAs::Click | PricedAs::Conversion);
        match columns.id(row) {
            Some(id) if once && price.campaign != 0 => self.grouper.add_unique(Unique {
                id,
                kind,
                campaign: price.campaign,
                quarter: quarter(event.time),
                received: event.received,
                cost: price.cost,
            }),
            _ => self.grouper.add(price.campaign, event.time, kind, price.cost, event.received),
        }
    }
}

fn unpriceable(decoded: &Decoded, row: usize, records: &Records, message: String) -> Poison {
    let index = decoded.rows.get(row).map_or(0, |i| *i as usize);
    let offset = records.get(index).map_or(0, |r| r.offset);
    Poison { index, offset, code: PoisonCode::Invalid, field: Some("price_micros".to_owned()), message }
}

/// The columns of a batch by their kinds.
struct Columns<'a> {
    id: &'a FixedSizeBinaryArray,
    time: &'a TimestampMicrosecondArray,
    received: &'a TimestampMicrosecondArray,
    campaign_id: &'a UInt32Array,
    tag: &'a StringArray,
    price_micros: &'a Int64Array,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, String> {
        fn column<'a, T: 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a T, String> {
            let array = batch.column_by_name(name).ok_or_else(|| format!("the column {name} is missing"))?;
            array.as_any().downcast_ref().ok_or_else(|| format!("the column {name} is a {}", array.data_type()))
        }
        Ok(Columns {
            id: column(batch, "id")?,
            time: column(batch, "time")?,
            received: column(batch, "received")?,
            campaign_id: column(batch, "campaign_id")?,
            tag: column(batch, "tag")?,
            price_micros: column(batch, "price_micros")?,
        })
    }

    fn id(&self, row: usize) -> Option<[u8; 16]> {
        self.id.value(row).try_into().ok()
    }

    fn priced(&self, row: usize, priced_as: PricedAs) -> Priced<'a> {
        Priced {
            time: Micros(self.time.value(row)),
            received: Micros(self.received.value(row)),
            campaign_id: self.campaign_id.is_valid(row).then(|| self.campaign_id.value(row)),
            tag: self.tag.is_valid(row).then(|| self.tag.value(row)),
            priced_as,
            price_micros: self.price_micros.is_valid(row).then(|| self.price_micros.value(row)),
        }
    }
}

impl<L: Ledger> Sink for BalancesSink<L> {
    type Batch = Prepared;

    fn name(&self) -> &'static str {
        "balances"
    }

    fn prepare(
        &mut self,
        _log: &LogId,
        range: Range,
        records: &Records,
        catalogue: &Snapshot,
        bad: &mut Vec<Poison>,
    ) -> Prepared {
        self.group(range, records, catalogue, bad)
    }

    async fn held(&mut self, log: &LogId, range: Range, _batch: &Prepared) -> Result<Held, SinkError> {
        let stands = self.ledger.position(log).await.map_err(sink_error)?.unwrap_or(0);
        if stands == range.to {
            Ok(Held::All)
        } else if stands == range.from {
            Ok(Held::Nothing)
        } else {
            Err(sink_error(LedgerError::Fenced { log: log.clone(), range, held: stands }))
        }
    }

    async fn write(&mut self, log: &LogId, range: Range, batch: &Prepared, held: &Held) -> Result<(), SinkError> {
        if *held == Held::All {
            return Ok(());
        }
        let batch = batch.as_ref().map_err(|why| SinkError::Fatal(why.clone()))?;
        let applied = self.ledger.apply(log, range, batch).await.map_err(sink_error)?;
        self.metrics.applied(&applied);
        for (campaign, reason) in &applied.stopped {
            tracing::info!(campaign, %reason, %log, %range, "campaign stopped");
        }
        for advertiser in &applied.exhausted {
            tracing::info!(advertiser, %log, %range, "advertiser's balance used up");
        }
        Ok(())
    }

    /// The ledger could tell where to go on, but not whether the log is still the one that it has
    /// booked: a topic made anew loses its readers' positions too, and begins at 0 again.
    async fn untouched(&mut self, log: &LogId) -> Result<bool, SinkError> {
        Ok(self.ledger.position(log).await.map_err(sink_error)?.is_none())
    }

    /// The ledger keeps the gap among its ranges. A range that was pinned was booked whole or not at
    /// all, and the ledger's position has said which: nothing of it is left to ask for.
    async fn skip(
        &mut self,
        log: &LogId,
        gap: Range,
        _stored: Position,
        who: &str,
        why: &str,
    ) -> Result<Position, SinkError> {
        let change = Change { who: who.to_owned(), why: why.to_owned() };
        self.ledger.skip(log, gap, &change).await.map_err(sink_error)?;
        Ok(Position::at(gap.to))
    }

    /// The ledger's own position is the truth. A pin behind it was booked; a ledger that never
    /// saw this log begins at 0, however far the log's reader has come: what it passed was booked
    /// in a ledger that is gone.
    async fn start(&mut self, log: &LogId, position: Position) -> Result<Position, SinkError> {
        let next = self.ledger.position(log).await.map_err(sink_error)?.unwrap_or(0);
        let pinned = position.pinned.filter(|to| next == position.next && *to > next);
        Ok(Position { next, pinned, hint: position.hint })
    }
}

fn sink_error(error: LedgerError) -> SinkError {
    match error {
        LedgerError::Busy(_) => SinkError::Retry(error.to_string()),
        LedgerError::Unknown(_) => SinkError::Unknown(error.to_string()),
        LedgerError::Fenced { .. } => SinkError::Fenced(error.to_string()),
        LedgerError::NotFound(_) | LedgerError::Refused(_) | LedgerError::Fatal(_) => {
            SinkError::Fatal(error.to_string())
        }
    }
}
