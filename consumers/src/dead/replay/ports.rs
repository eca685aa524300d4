//! What a replay needs of the letters and of the events' log; a spool and topics have both.

use crate::dead::letters::LettersError;
use crate::dead::marks::{Begun, Mark, Place, Replay};
use crate::dead::record::DeadLetter;
use penstock::log::{LogId, Offset};
use penstock::pipeline::DeadError;
use penstock::time::Micros;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// How a record stands among the letters.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The sinks that put it aside.
    pub sinks: Vec<Arc<str>>,
    /// One of their letters, with the record.
    pub letter: Option<DeadLetter>,
    /// What was done about it.
    pub replays: Vec<Replay>,
}

/// The letters, as a replay needs them.
pub trait Book: Send + Sync {
    /// How these records stand, with everything that was written before the call.
    fn standing(&self, places: &[Place]) -> impl Future<Output = Result<Vec<Standing>, LettersError>> + Send;

    /// Writes marks durably. Errors: any of them may be there or not.
    fn write(&self, marks: Vec<(Place, Mark)>) -> impl Future<Output = Result<(), DeadError>> + Send;
}

/// Where a record lies after its replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// The log.
    pub log: String,
    /// The partition.
    pub partition: u32,
    /// Its offset; `None` when the broker did not say.
    pub offset: Option<Offset>,
}

/// Where a record may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// The log.
    pub log: String,
    /// The partitions it may go to, each with the log's end now.
    pub floors: Vec<(u32, Offset)>,
}

/// A replay on its way.
#[derive(Clone, Copy, Debug)]
pub struct OnItsWay<'a> {
    /// The record that was put aside.
    pub place: &'a Place,
    /// What was begun.
    pub begun: &'a Begun,
    /// When; not behind the first attempt to append it.
    pub at: Micros,
    /// The record.
    pub body: &'a [u8],
}

/// Why a record was not appended for sure, or not found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Nothing was appended, and will not be.
    #[error("{0}")]
    Refused(String),
    /// It may be there or not; a later replay of the same record looks.
    #[error("{0}")]
    Unknown(String),
}

/// The log of events.
pub trait Target: Send + Sync {
    /// The sinks that read a log: all of them must have put a record of it aside.
    fn readers(&self, log: &LogId) -> Vec<&'static str>;

    /// How old a replay of another life has to be before it is looked for and taken over.
    fn patience(&self) -> Duration;

    /// The record in single-object encoding, as logs hold it. It is given back as it is when it
    /// stands in no other, or nothing is known of that.
    ///
    /// Errors: [`TargetError::Unknown`] when that cannot be told now; [`TargetError::Refused`] when
    /// it would become an event of another log.
    fn framed(&self, _place: &Place, body: Vec<u8>) -> impl Future<Output = Result<Vec<u8>, TargetError>> + Send {
        async { Ok(body) }
    }

    /// Where this record goes. Errors: [`TargetError::Refused`].
    fn landing(&self, place: &Place, body: &[u8]) -> impl Future<Output = Result<Landing, TargetError>> + Send;

    /// Whether these are in the log, each with its place; nothing of them can come later than that.
    fn find(&self, sought: &[OnItsWay<'_>]) -> impl Future<Output = Vec<Result<Option<Landed>, TargetError>>> + Send;

    /// Appends them durably, each once.
    fn append(&self, records: &[OnItsWay<'_>]) -> impl Future<Output = Vec<Result<Landed, TargetError>>> + Send;
}
