//! The boundary between the pipeline and what it feeds. Sinks decide nothing: routing, retry,
//! pinning and metrics live in the pipeline.

use crate::log::{LogId, Offset, Range, Records};
use crate::pricing::Snapshot;

/// What a sink already holds of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing of it.
    Nothing,
    /// These offsets, ascending.
    Some(Vec<Offset>),
    /// All of it; there is nothing left to write.
    All,
}

/// Why a record cannot be taken by a sink; stable names, part of dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PoisonCode {
    /// The log reported a failed checksum; the content is lost.
    Corrupt,
    /// The frame's header is not one we know, or is cut short.
    BadFrame,
    /// The frame names a schema that nobody registered.
    UnknownSchema,
    /// The Avro body does not decode with its writer schema.
    BadBody,
    /// Decoded, but a value breaks a rule of its type.
    Invalid,
    /// No event but a mark of the forwarder ([`crate::codec::frame::BARRIER`]): nothing is lost
    /// with it, so counts and lists of dead records leave it out.
    Barrier,
    /// No event for this sink but a replay to another one alone ([`crate::codec::frame::address`]):
    /// left out like a barrier.
    Elsewhere,
}

impl PoisonCode {
    /// The stable name, e.g. `bad_body`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PoisonCode::Corrupt => "corrupt",
            PoisonCode::BadFrame => "bad_frame",
            PoisonCode::UnknownSchema => "unknown_schema",
            PoisonCode::BadBody => "bad_body",
            PoisonCode::Invalid => "invalid",
            PoisonCode::Barrier => "barrier",
            PoisonCode::Elsewhere => "elsewhere",
        }
    }

    /// Those that only account for an offset: no event is lost with them.
    pub const NO_LOSS: [PoisonCode; 2] = [PoisonCode::Barrier, PoisonCode::Elsewhere];
}

/// One record that goes to the dead-letter log instead of the sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison {
    /// Index of the record in its batch.
    pub index: usize,
    /// Its offset.
    pub offset: Offset,
    /// Why.
    pub code: PoisonCode,
    /// The field at fault, when one is.
    pub field: Option<String>,
    /// One sentence for a person.
    pub message: String,
}

/// What a failed write means for the pipeline.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Nothing was written for sure; the same call may work later (busy, refused connection).
    #[error("will retry: {0}")]
    Retry(String),
    /// The outcome is unknown (time-out, lost connection): ask [`Sink::held`] before writing again.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// Somebody else owns this range now; stop without another write.
    #[error("fenced: {0}")]
    Fenced(String),
    /// No retry can help (a missing table, a wrong schema): stop and alert.
    #[error("fatal: {0}")]
    Fatal(String),
}

/// Where one partition's ranges are written.
#[expect(async_fn_in_trait, reason = "pipelines run on one thread each, no Send bound is wanted")]
pub trait Sink {
    /// A range made ready to write. Must not change between retries of one range.
    type Batch;

    /// The sink's stable name: `statistics`, `balances`, `archive`, `kafka`.
    fn name(&self) -> &'static str;

    /// Decodes, resolves, prices and splits off poison. Pure and synchronous: what is poison is
    /// a function of the record alone, so a replay decides the same.
    fn prepare(
        &mut self,
        log: &LogId,
        range: Range,
        records: &Records,
        catalogue: &Snapshot,
        bad: &mut Vec<Poison>,
    ) -> Self::Batch;

    /// What the sink holds of `range` (asked after a crash, a takeover or an unknown outcome).
    async fn held(&mut self, log: &LogId, range: Range, batch: &Self::Batch) -> Result<Held, SinkError>;

    /// Writes what is missing of `range`. The same call twice leaves the same state.
    async fn write(&mut self, log: &LogId, range: Range, batch: &Self::Batch, held: &Held) -> Result<(), SinkError>;

    /// Asked once at start when the log has no stored position: whether the sink holds nothing of
    /// this log. If so, it begins at the log's first offset; if not, the position was lost, and
    /// going on from anywhere would count twice or leave out, so the pipeline stays down.
    ///
    /// A pipeline stores a pin before it writes, so a sink that wrote always left a position.
    async fn untouched(&mut self, _log: &LogId) -> Result<bool, SinkError> {
        Ok(true)
    }

    /// Asked whenever a range is about to be pinned for the first time: what the sink wants to be
    /// told again ([`resume`](Sink::resume)) when the range is met after a crash. Durable with the
    /// pin. What it answers holds for this range until the next one is pinned.
    fn hint(&mut self, _log: &LogId, _range: Range) -> u32 {
        0
    }

    /// Gives back the hint of the range that an earlier life pinned, before its
    /// [`prepare`](Sink::prepare) and [`held`](Sink::held).
    fn resume(&mut self, _log: &LogId, _range: Range, _hint: u32) {}

    /// A person has said that the sink may pass `gap`, offsets that retention has taken: the sink's
    /// own books pass it too. Returns where to go on. `stored` is the log's position before it; of
    /// a range that was pinned there the sink may hold some, so what is left of it stays pinned.
    /// May be called again with the same gap.
    async fn skip(
        &mut self,
        _log: &LogId,
        gap: Range,
        stored: crate::log::Position,
        _who: &str,
        _why: &str,
    ) -> Result<crate::log::Position, SinkError> {
        Ok(behind(gap, stored))
    }

    /// Called at start, before the first range, with the stored position: the sink may know
    /// better (the ledger's own position is the truth). Returns the offset to go on from.
    async fn start(&mut self, _log: &LogId, position: crate::log::Position) -> Result<crate::log::Position, SinkError> {
        Ok(position)
    }
}

/// The position behind a gap, with what is left of the range that was pinned in front of it.
#[must_use]
pub fn behind(gap: Range, stored: crate::log::Position) -> crate::log::Position {
    match stored.pinned.filter(|to| *to > gap.to && stored.next <= gap.to) {
        Some(to) => crate::log::Position { next: gap.to, pinned: Some(to), hint: stored.hint },
        None => crate::log::Position::at(gap.to),
    }
}
