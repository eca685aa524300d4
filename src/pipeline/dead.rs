//! Where poison goes: the boundary to the dead-letter log.
//!
//! Letters are durable before the position passes their record, and are written at least once:
//! whoever reads them knows a letter by (sink, log, partition, offset).

use crate::log::{LogId, Offset};

/// A record (or a gap in the log) that a sink will never hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter<'a> {
    /// The sink that could not take it.
    pub sink: &'a str,
    /// The partition it stands in.
    pub log: &'a LogId,
    /// Its offset there.
    pub offset: Offset,
    /// Stable name of the reason: [`PoisonCode::name`](super::PoisonCode::name) or [`GAP`].
    pub code: &'a str,
    /// The field at fault, when one is.
    pub field: Option<&'a str>,
    /// One sentence for a person.
    pub message: &'a str,
    /// The framed record as it stands in the log; empty when its content is lost.
    pub body: &'a [u8],
}

/// Code of the letter that records a gap: `offset` is the first offset that is gone, the message
/// names the end. It stands for no single record, so counts of dead records leave it out.
pub const GAP: &str = "gap";

/// The dead-letter log did not take a letter for sure; the pipeline writes it again later.
#[derive(Debug, thiserror::Error)]
#[error("the dead-letter log did not take a letter: {0}")]
pub struct DeadError(pub String);

/// What people have said about a gap that stops a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GapAnswer {
    /// Nobody will ever be asked: the pipeline ends.
    Never,
    /// Nothing yet.
    NotYet,
    /// The sink may pass it.
    Skip {
        /// Who said so.
        who: String,
        /// And why.
        why: String,
    },
}

/// Takes letters.
#[expect(async_fn_in_trait, reason = "pipelines run on one thread each, no Send bound is wanted")]
pub trait DeadTarget {
    /// Writes the letters durably before it returns; a repeated call may write them again.
    ///
    /// Errors: [`DeadError`], after which any of them may or may not be there.
    async fn bury(&mut self, letters: &[Letter<'_>]) -> Result<(), DeadError>;

    /// What was said about the gap whose letter is (`sink`, `log`, `offset`). Asked every few
    /// seconds while the pipeline stands before it.
    ///
    /// Errors: [`DeadError`]; it is asked again.
    async fn answer(&mut self, _sink: &str, _log: &LogId, _offset: Offset) -> Result<GapAnswer, DeadError> {
        Ok(GapAnswer::Never)
    }
}
