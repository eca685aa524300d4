//! Records to the table's columns: decode, price column by column, add the log coordinates.
//!
//! Columns have the shapes that the table's have, so that the engine takes them as they are:
//! dictionaries for `LowCardinality`, no nulls where the table has none. Else it looks up and
//! converts value by value, which costs it half as much again as the insert.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    UInt32Array, UInt64Array,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimestampMicrosecondType, UInt32Type};
use arrow::error::ArrowError;
use penstock::codec::columns::{ColumnDecoder, ColumnsError, Decoded};
use penstock::log::{LogId, Offset, Records};
use penstock::pipeline::{Held, Poison, PoisonCode};
use penstock::pricing::{Priced, Snapshot};
use penstock::time::Micros;
use std::collections::HashSet;
use std::sync::Arc;

/// The table's columns in the order they are sent.
pub(super) const TABLE: &[&str] = &[
    "id",
    "type",
    "time",
    "received",
    "server",
    "campaign_id",
    "tag",
    "variation_id",
    "site_id",
    "zone_id",
    "user_id",
    "ip",
    "country",
    "user_agent",
    "device",
    "os",
    "cost_nanos",
    "impression_id",
    "click_id",
    "goal",
    "value_micros",
    "extra",
    "log_topic",
    "log_partition",
    "log_offset",
];

/// Those that are `LowCardinality` and come from the event.
const SYMBOLS: &[&str] = &["type", "server", "country", "device", "os", "goal"];

/// What is decoded: the table's columns up to `extra`, with the price where its cost will be.
fn decoded_fields() -> Vec<&'static str> {
    let from_event = TABLE.iter().take_while(|c| **c != "log_topic");
    from_event.map(|c| if *c == "cost_nanos" { "price_micros" } else { c }).collect()
}

const TIME: usize = 2;
const RECEIVED: usize = 3;
const CAMPAIGN: usize = 5;
const TAG: usize = 6;
const PRICE: usize = 16;

/// One range made ready to insert.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The rows, columns as in the table.
    pub(super) rows: RecordBatch,
    /// Row → offset of its record, ascending.
    pub(super) offsets: Vec<Offset>,
    /// First and last event time, when there is a row.
    pub(super) span: Option<super::Span>,
    /// Why there are no columns; the write reports it.
    pub(super) failed: Option<String>,
}

impl Batch {
    /// Rows to insert.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.offsets.len()
    }

    /// The rows that are not held; `None` when there is none.
    pub(super) fn missing(&self, held: &Held) -> Result<Option<RecordBatch>, ArrowError> {
        let rows = match held {
            Held::All => return Ok(None),
            Held::Nothing => self.rows.clone(),
            Held::Some(offsets) => {
                let there: HashSet<Offset> = offsets.iter().copied().collect();
                let keep: BooleanArray = self.offsets.iter().map(|o| Some(!there.contains(o))).collect();
                filter_record_batch(&self.rows, &keep)?
            }
        };
        Ok((rows.num_rows() > 0).then_some(rows))
    }
}

/// Makes batches; keeps the decoder's memory.
pub(super) struct Columns {
    decoder: ColumnDecoder,
    schema: Arc<Schema>,
}

impl Columns {
    /// Errors: [`ColumnsError::UnknownField`].
    pub fn new() -> Result<Columns, ColumnsError> {
        let decoder = ColumnDecoder::with_symbols(&decoded_fields(), SYMBOLS)?;
        let mut fields: Vec<Field> = decoder.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        for field in fields.iter_mut().filter(|f| f.data_type() == &DataType::Utf8) {
            field.set_nullable(false);
        }
        fields[CAMPAIGN] = Field::new("campaign_id", DataType::UInt32, false);
        fields[PRICE] = Field::new("cost_nanos", DataType::Int64, false);
        fields.push(Field::new_dictionary("log_topic", DataType::Int32, DataType::Utf8, false));
        fields.push(Field::new("log_partition", DataType::UInt32, false));
        fields.push(Field::new("log_offset", DataType::UInt64, false));
        Ok(Columns { decoder, schema: Arc::new(Schema::new(fields)) })
    }

    /// The columns as they are sent.
    #[cfg(test)]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Decodes, prices and places `records`; poison goes to `bad`.
    pub fn batch(&mut self, log: &LogId, records: &Records, catalogue: &Snapshot, bad: &mut Vec<Poison>) -> Batch {
        self.try_batch(log, records, catalogue, bad).unwrap_or_else(|e| Batch {
            rows: RecordBatch::new_empty(self.schema.clone()),
            offsets: records.iter().filter(|r| r.body.is_ok()).map(|r| r.offset).collect(),
            span: None,
            failed: Some(format!("the records do not become columns: {e}")),
        })
    }

    fn try_batch(
        &mut self,
        log: &LogId,
        records: &Records,
        catalogue: &Snapshot,
        bad: &mut Vec<Poison>,
    ) -> Result<Batch, ColumnsError> {
        let decoded = self.decoder.decode(records, bad)?;
        let priced = price(&decoded, records, catalogue, bad);
        let offsets: Vec<Offset> =
            decoded.rows.iter().map(|&i| records.get(i as usize).map_or(Offset::MAX, |r| r.offset)).collect();
        let count = offsets.len();
        let mut columns: Vec<ArrayRef> = decoded.batch.columns().iter().map(without_nulls).collect();
        columns[CAMPAIGN] = Arc::new(UInt32Array::from(priced.campaigns));
        columns[PRICE] = Arc::new(Int64Array::from(priced.costs));
        let topic = Arc::new(StringArray::from_iter_values([log.name.as_ref()]));
        columns.push(Arc::new(DictionaryArray::try_new(Int32Array::from(vec![0; count]), topic)?));
        columns.push(Arc::new(UInt32Array::from(vec![log.partition; count])));
        columns.push(Arc::new(UInt64Array::from(offsets.clone())));
        let rows = RecordBatch::try_new(self.schema.clone(), columns)?;
        let (rows, offsets) = if priced.refused.is_empty() {
            (rows, offsets)
        } else {
            let keep: BooleanArray = (0..count).map(|row| Some(!priced.refused.contains(&row))).collect();
            let kept =
                (0..count).filter(|row| !priced.refused.contains(row)).filter_map(|row| offsets.get(row).copied());
            (filter_record_batch(&rows, &keep)?, kept.collect())
        };
        let times = rows.column(TIME).as_primitive::<TimestampMicrosecondType>().values();
        let span = times.iter().min().zip(times.iter().max()).map(|(a, b)| (Micros(*a), Micros(*b)));
        Ok(Batch { rows, offsets, span, failed: None })
    }
}

/// Text without nulls: those of a builder are as long as the empty text, so nothing is copied.
fn without_nulls(column: &ArrayRef) -> ArrayRef {
    let Some(text) = column.as_string_opt::<i32>() else { return column.clone() };
    let (offsets, bytes, _nulls) = text.clone().into_parts();
    // Offsets and bytes are those of valid text.
    Arc::new(StringArray::new(offsets, bytes, None))
}

struct PricedColumns {
    campaigns: Vec<u32>,
    costs: Vec<i64>,
    /// Rows whose explicit price no event can have.
    refused: HashSet<usize>,
}

fn price(decoded: &Decoded, records: &Records, catalogue: &Snapshot, bad: &mut Vec<Poison>) -> PricedColumns {
    let column = |index: usize| decoded.batch.column(index);
    let times = column(TIME).as_primitive::<TimestampMicrosecondType>();
    let received = column(RECEIVED).as_primitive::<TimestampMicrosecondType>();
    let campaigns = column(CAMPAIGN).as_primitive::<UInt32Type>();
    let tags = column(TAG).as_string::<i32>();
    let prices = column(PRICE).as_primitive::<Int64Type>();
    let count = decoded.rows.len();
    let mut out = PricedColumns {
        campaigns: Vec::with_capacity(count),
        costs: Vec::with_capacity(count),
        refused: HashSet::new(),
    };
    for (row, (kind, &index)) in decoded.types.iter().zip(&decoded.rows).enumerate() {
        let event = Priced {
            time: Micros(times.value(row)),
            received: Micros(received.value(row)),
            campaign_id: campaigns.is_valid(row).then(|| campaigns.value(row)),
            tag: tags.is_valid(row).then(|| tags.value(row)),
            priced_as: kind.priced_as,
            price_micros: prices.is_valid(row).then(|| prices.value(row)),
        };
        let (campaign, cost) = match catalogue.price(&event) {
            Ok(price) => (price.campaign, price.cost.0),
            Err(error) => {
                let index = index as usize;
                let offset = records.get(index).map_or(Offset::MAX, |r| r.offset);
                let field = Some("price_micros".to_owned());
                bad.push(Poison { index, offset, code: PoisonCode::Invalid, field, message: error.to_string() });
                out.refused.insert(row);
                (0, 0)
            }
        };
        out.campaigns.push(campaign);
        out.costs.push(cost);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_named_by_number_are_the_ones_meant() {
        let fields = decoded_fields();
        let named =
            [(TIME, "time"), (RECEIVED, "received"), (CAMPAIGN, "campaign_id"), (TAG, "tag"), (PRICE, "price_micros")];
        assert!(named.iter().all(|(index, name)| fields[*index] == *name), "{fields:?}");
        let schema = Columns::new().unwrap().schema;
        assert_eq!(schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), TABLE);
    }
}
