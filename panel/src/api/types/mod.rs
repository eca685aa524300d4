//! JSON shapes of the panel's API, both directions. The command line reads them back.
//!
//! 64-bit amounts are strings (a JavaScript number cannot hold them), counts and offsets are
//! numbers, times are RFC 3339 in UTC. A client should ignore fields that it does not know.

mod analytics;
mod campaigns;
mod dead;
mod explore;
mod now;
mod problem;
mod reconcile;
mod scalars;
mod status;

pub use analytics::{
    AbComparison, AbReport, AbVariation, Cohort, FunnelGroup, FunnelReport, FunnelStep, RetentionReport, TopRow,
    UniqueUsers, UsersPoint,
};
pub use campaigns::{
    ArchivePlace, AuditEntry, Budget, Campaign, CatalogueImported, Change, Event, Kpis, Place, Placed, Stop,
    TimeseriesPoint,
};
pub use dead::{
    DeadLetter, Gap, GapSkip, GapSkipRequest, RefusedLetter, ReplayReport, ReplayRequest, ReplayedBy, ReplayedLetter,
};
pub use explore::{
    AdjustmentLine, Booked, Column, DeadCount, DimensionValue, Late, LedgerLine, Quality, StateLine, Table, Window,
};
pub use now::{Moment, Now, Percentiles, Rates, SinkNow, SpoolNow, StopNow};
pub use problem::ProblemBody;
pub use reconcile::{Difference, Figures, PartitionReport, ReconcileRequest, Reconciliation, SinkReport};
pub use scalars::{Amount, Sum, Time, fraction};
pub use status::{
    DeadSummary, EngineStatus, Health, RoleStatus, SinkStatus, SpoolPartition, SpoolStatus, Status, StoppedCampaign,
};

use serde::{Deserialize, Serialize};

/// The envelope of a single statistic: `{"status":"ok","result":N,"timestamp":"…"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Answer<T> {
    /// Always `ok`; an error is a problem document with another content type.
    pub status: String,
    /// What was asked for.
    pub result: T,
    /// When the answer was computed; a cached answer keeps its time.
    pub timestamp: Time,
}

/// The envelope of a list: [`Answer`] with the cursor of the next page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// Always `ok`.
    pub status: String,
    /// The rows of this page.
    pub result: Vec<T>,
    /// Pass it as `cursor` to get what follows; `null` at the end. Opaque.
    pub next_cursor: Option<String>,
    /// When the answer was computed.
    pub timestamp: Time,
}
