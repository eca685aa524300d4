//! One request's records on their way into the log.

use super::format::{RECORD_HEADER, seal_record};

/// Records of one request, framed in place: a worker keeps one buffer and reuses it.
///
/// `begin_record`, encode into the vector it returns, then `end_record` or `cancel_record`.
/// Lengths and checksums are written where they will lie in the file, so an append copies once.
#[derive(Debug, Default)]
pub struct GroupBuf {
    bytes: Vec<u8>,
    count: u32,
    open: Option<usize>,
}

impl GroupBuf {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Empties the buffer and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
        self.open = None;
    }

    /// Starts a record: its bytes are appended to what is returned. What is already in there must
    /// stay as it is. An open record is dropped first.
    pub fn begin_record(&mut self) -> &mut Vec<u8> {
        self.cancel_record();
        self.open = Some(self.bytes.len());
        self.bytes.extend_from_slice(&[0; RECORD_HEADER]);
        &mut self.bytes
    }

    /// Ends the record begun last. Without one, nothing happens.
    pub fn end_record(&mut self) {
        let Some(start) = self.open.take() else { return };
        // A body past 4 GiB cannot be framed; append refuses the group long before by its size.
        let len = self.bytes.len().saturating_sub(start + RECORD_HEADER);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        if let Some(frame) = self.bytes.get_mut(start..).filter(|f| f.len() >= RECORD_HEADER) {
            seal_record(frame, len);
            self.count += 1;
        }
    }

    /// Drops everything since [`GroupBuf::begin_record`]: the event was rejected.
    pub fn cancel_record(&mut self) {
        if let Some(start) = self.open.take() {
            self.bytes.truncate(start);
        }
    }

    /// Appends a whole record (copies it).
    pub fn push(&mut self, body: &[u8]) {
        self.begin_record().extend_from_slice(body);
        self.end_record();
    }

    /// Number of ended records.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of the ended records with their frames.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.framed().len()
    }

    /// Whether there is no ended record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn framed(&self) -> &[u8] {
        &self.bytes[..self.open.unwrap_or(self.bytes.len())]
    }
}

/// The identity of a request that carries an `Idempotency-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupKey<'a> {
    /// Hash of write key and idempotency key together.
    pub key: &'a [u8; 16],
    /// Hash of the request body: the same key with another body is a conflict.
    pub body: &'a [u8; 16],
}

/// One request: appended whole or not at all.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// Its records, at least one.
    pub records: &'a GroupBuf,
    /// Its idempotency key, when the request had one.
    pub key: Option<GroupKey<'a>>,
    /// Body of the HTTP answer, kept with the key and given again to a repeat; unused without key.
    pub answer: &'a [u8],
}

impl<'a> Group<'a> {
    /// A group without an idempotency key.
    #[must_use]
    pub fn plain(records: &'a GroupBuf) -> Self {
        Group { records, key: None, answer: &[] }
    }
}
