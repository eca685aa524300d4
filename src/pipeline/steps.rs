//! The boundaries between the steps of a range, where a test may crash the pipeline.
//!
//! The observer is a type parameter: with `()` every call is empty and compiles to nothing.

use crate::log::Range;

/// A boundary that has just been reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The stored position was read and agreed with the sink.
    Started,
    /// The records of a range are in memory.
    Collected,
    /// The range is decoded, priced and split from its poison.
    Prepared,
    /// The pin is stored.
    Pinned,
    /// The poison of the range is durable in the dead-letter log.
    Buried,
    /// The sink said what it holds of the range.
    Asked,
    /// A call failed and will be made again.
    Failed,
    /// The sink has taken the range.
    Written,
    /// The position behind the range is stored.
    Committed,
}

/// What happens after a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// Go on.
    On,
    /// End here without another call to log, sink or dead letters, as a killed process would.
    Crash,
}

/// Watches the boundaries.
pub trait Steps {
    /// `step` has just been done for `range` (for [`Step::Started`] the empty range at the position).
    fn at(&mut self, step: Step, range: Range) -> Go;
}

impl Steps for () {
    #[inline(always)]
    fn at(&mut self, _: Step, _: Range) -> Go {
        Go::On
    }
}
