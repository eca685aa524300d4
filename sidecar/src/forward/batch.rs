//! A range made ready to send: framed for Kafka, keyed, and sorted by where each record goes.

use super::plan::Plan;
use bytes::Bytes;
use penstock::codec::frame::{self, FrameError};
use penstock::codec::{confluent, registry};
use penstock::kafka::{Slice, key};
use penstock::log::{Offset, Range, Records};
use penstock::pipeline::{Poison, PoisonCode};
use penstock::registry::SchemaIds;
use penstock::settings::KafkaSettings;
use penstock::time::Micros;
use std::collections::HashMap;

/// What librdkafka and the brokers add to a message, at most.
const OVERHEAD: usize = 512;

/// A range ready to send. Holds a copy of its records, since the header changes.
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) bytes: Bytes,
    /// By topic and partition; in each the records in ascending order of their sequence.
    pub(super) parts: Vec<Part>,
    /// Records in all parts.
    pub(super) len: usize,
    /// When the oldest of them was appended to the spool.
    pub(super) oldest: Option<Micros>,
    /// Records whose schema has no id yet, and so keep their single-object header.
    pub(super) unframed: u64,
}

/// The records of one partition of a topic.
#[derive(Debug)]
pub(super) struct Part {
    /// Index of the topic in the plan.
    pub topic: usize,
    pub partition: u32,
    items: Vec<Item>,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    sequence: Offset,
    /// Where it lies in the batch's bytes.
    slice: Slice,
}

impl Part {
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn sequence(&self, index: usize) -> Offset {
        self.items.get(index).map_or(0, |i| i.sequence)
    }

    /// The messages `from..to` in the batch's bytes.
    pub fn slices(&self, from: usize, to: usize) -> impl ExactSizeIterator<Item = Slice> {
        self.items[from..to].iter().map(|item| item.slice)
    }
}

/// What is the same for all records of a schema within a range.
struct Known {
    fingerprint: u64,
    topic: usize,
    id: Option<u32>,
    /// Partition and part that its last record went to: neighbours nearly always share them.
    last: Option<(u32, usize)>,
}

impl Batch {
    /// Bytes of all keys and values.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// All sequences.
    pub(super) fn sequences(&self) -> impl Iterator<Item = Offset> {
        self.parts.iter().flat_map(|part| part.items.iter().map(|item| item.sequence))
    }
}

/// Makes the batch of a range. What is poison is a function of the record alone.
#[expect(clippy::too_many_arguments, reason = "a range, and what its records are framed and placed by")]
pub(super) fn make<R: SchemaIds>(
    records: &Records,
    range: Range,
    spool: u64,
    plan: &Plan,
    kafka: &KafkaSettings,
    ids: Option<&R>,
    max_message_bytes: usize,
    bad: &mut Vec<Poison>,
) -> Batch {
    debug_assert!(records.range().is_none_or(|r| r == range));
    let mut batch = Batch::default();
    let mut bytes = Vec::with_capacity(records.bytes() + records.len() * key::RECORD_LEN);
    let mut known: Vec<Known> = Vec::new();
    let mut places: HashMap<(usize, u32), usize> = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        let Ok(body) = record.body else {
            bad.push(frame::hole(index, &record));
            continue;
        };
        let frame = match frame::split(body) {
            Ok(frame) => frame,
            Err(error) => {
                bad.push(error.poison(index, &record));
                continue;
            }
        };
        if body.len() + key::RECORD_LEN + OVERHEAD > max_message_bytes {
            let message = format!("{} bytes do not fit a message of forward.max_message_bytes", body.len());
            bad.push(Poison { index, offset: record.offset, code: PoisonCode::Invalid, field: None, message });
            continue;
        }
        let fingerprint = frame.schema.fingerprint;
        let schema = match known.iter().position(|k| k.fingerprint == fingerprint) {
            Some(at) => at,
            None => {
                let Some(topic) = plan.index(&kafka.topic_of(frame.schema.kind.name)) else {
                    // The plan holds every topic that the settings name, so this is a schema without a type of ours.
                    bad.push(FrameError::UnknownSchema(fingerprint).poison(index, &record));
                    continue;
                };
                known.push(Known { fingerprint, topic, id: ids.and_then(|ids| ids.id_of(fingerprint)), last: None });
                known.len() - 1
            }
        };
        let Known { topic, id, last, .. } = known[schema];
        let partition = plan.partition(topic, record.offset);
        let part = match last {
            Some((p, part)) if p == partition => part,
            _ => {
                let parts = &mut batch.parts;
                let part = *places.entry((topic, partition)).or_insert_with(|| {
                    parts.push(Part { topic, partition, items: Vec::new() });
                    parts.len() - 1
                });
                known[schema].last = Some((partition, part));
                part
            }
        };
        let start = bytes.len();
        bytes.extend_from_slice(&key::record(spool, record.offset));
        match id {
            Some(id) => {
                bytes.extend_from_slice(&confluent::header(id));
                bytes.extend_from_slice(&body[registry::HEADER_LEN..]);
            }
            None => {
                bytes.extend_from_slice(body);
                batch.unframed += u64::from(ids.is_some());
            }
        }
        let value = bytes.len() - start - key::RECORD_LEN;
        let slice = Slice { start, key: key::RECORD_LEN, value };
        batch.parts[part].items.push(Item { sequence: record.offset, slice });
        batch.len += 1;
        batch.oldest = Some(batch.oldest.map_or(record.appended, |o| o.min(record.appended)));
    }
    batch.bytes = bytes.into();
    batch
}
