//! The ledger: who has paid for what. The trait and its types; SQL lives in the consumers.
//!
//! The one thing to know: **the ledger's own position is the truth.** A range of a log is
//! booked in one transaction that begins with a compare-and-set of the partition's position:
//! equal to the range's end means it was booked before, equal to its start means it is booked
//! now, anything else means that somebody else owns the partition. So a range may be written
//! as often as it takes.
//!
//! Invariants that every implementation keeps, and the conformance suite asks for in SQL:
//! - every event of a booked range is charged, a duplicate or unattributed, never two of them;
//! - a campaign's charged nanos = the sum of its `ledger` rows = of its days = of its totals;
//! - a campaign's reasons and what the outbox publishes are the same after any crash;
//! - no sum wraps: what would not fit is unattributed and stops the campaign (`overflow`).

mod batch;
mod calendar;
mod catalogue;
mod diff;
mod lease;
mod posting;
mod reason;
mod state;
mod validate;
mod views;

pub use batch::{Batch, Group, Grouper, Quarter, Unique, quarter, quarter_hour, quarter_start};
pub use calendar::{ZoneError, day_of, next_day, zone};
pub use catalogue::{Advertiser, Campaign, Catalogue, ImportReport};
pub use diff::{CatalogueDiff, diff, rates_of};
pub use lease::{Keeper as LeaseKeeper, Lease};
pub use posting::{Account, AdvertiserAccount, DayAccount, Posting, post};
pub use reason::Reason;
pub use state::{Heartbeat, KPIS_SCHEMA, KpiRecord, STATE_SCHEMA, StateChange, StateError, StateRecord};
pub use validate::{MAX_AMOUNT_MICROS, Place, Problem, validate};
pub use views::{
    Adjustment, AdjustmentKind, AdvertiserId, AdvertiserView, AuditEntry, AuditFilter, Books, Budget, CampaignFilter,
    CampaignSums, CampaignView, Change, Kpis, LedgerLine, LineFilter, Listed, NewAdjustment, PartitionBooks, Status,
    Stop, StoppedCampaign, Sums, Tally,
};

use crate::log::{LogId, Offset, Range};
use crate::pricing::{CampaignId, Snapshot};
use crate::time::Micros;
use std::future::Future;
use std::time::Duration;

/// What can go wrong with a ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Nothing was written; the same call may work later (a busy or full database).
    #[error("the ledger is busy: {0}")]
    Busy(String),
    /// COMMIT failed in a way that says neither yes nor no, and the position could not be read.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(String),
    /// The position is neither the range's start nor its end: the partition has another owner.
    #[error("{log}: the ledger stands at {held}, the range {range} does not follow")]
    Fenced {
        /// The partition.
        log: LogId,
        /// The range that was to be booked.
        range: Range,
        /// Where the ledger stands.
        held: Offset,
    },
    /// There is no such campaign or advertiser.
    #[error("there is no {0}")]
    NotFound(String),
    /// What was asked for breaks a rule; the sentence says which.
    #[error("{0}")]
    Refused(String),
    /// No retry can help: a damaged file, a newer schema, a broken invariant.
    #[error("the ledger cannot go on: {0}")]
    Fatal(String),
}

/// How a range came to be booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By this call.
    Booked,
    /// By an earlier one.
    AlreadyBooked,
}

/// What [`Ledger::apply`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// By this call or before it.
    pub outcome: Outcome,
    /// How the events were booked (zero when booked before).
    pub sums: Sums,
    /// Campaigns and reasons that this range added; the publisher should look at the outbox.
    pub stopped: Vec<(CampaignId, Reason)>,
    /// Advertisers whose balance this range used up.
    pub exhausted: Vec<AdvertiserId>,
}

/// What housekeeping removed or folded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Housekept {
    /// Ids of clicks and conversions past the horizon.
    pub ids_purged: u64,
    /// Rows of ranges folded into others.
    pub ranges_folded: u64,
    /// Published outbox rows past their use.
    pub outbox_purged: u64,
}

/// How long the ledger keeps what it does not need for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizons {
    /// Days within which a repeated id is charged once, counted from the receive time.
    pub unique_days: u32,
    /// Age at which the rows of ranges are folded into one row a day.
    pub fold_after: Duration,
    /// Age at which published outbox rows go (the newest of every campaign stays).
    pub outbox: Duration,
}

/// A ledger of money. Cheap to clone; clones share the database and its one writer.
///
/// Every method is one transaction. Errors: [`LedgerError`].
pub trait Ledger: Clone + Send + Sync + 'static {
    // ---- what the balances sink needs

    /// First offset of the partition that is not booked; `None` when it was never booked.
    fn position(&self, log: &LogId) -> impl Future<Output = Result<Option<Offset>, LedgerError>> + Send;

    /// Books a range. A partition that was never booked stands at 0.
    ///
    /// Errors: [`LedgerError::Fenced`], [`LedgerError::Busy`]; [`LedgerError::Unknown`] only
    /// when the position could not be read again after a COMMIT without an answer.
    fn apply(
        &self,
        log: &LogId,
        range: Range,
        batch: &Batch,
    ) -> impl Future<Output = Result<Applied, LedgerError>> + Send;

    /// Moves the position over offsets that retention has taken; the gap is kept in `ranges`
    /// and in the audit.
    fn skip(&self, log: &LogId, gap: Range, change: &Change) -> impl Future<Output = Result<(), LedgerError>> + Send;

    // ---- what the panel and the commands need

    /// Campaigns by ascending number.
    fn campaigns(&self, filter: &CampaignFilter)
    -> impl Future<Output = Result<Vec<CampaignView>, LedgerError>> + Send;

    /// One campaign, `None` when there is none of that number.
    fn campaign(&self, id: CampaignId) -> impl Future<Output = Result<Option<CampaignView>, LedgerError>> + Send;

    /// All advertisers by ascending number.
    fn advertisers(&self) -> impl Future<Output = Result<Vec<AdvertiserView>, LedgerError>> + Send;

    /// All stopped campaigns, with every reason since when.
    fn stopped(&self) -> impl Future<Output = Result<Vec<StoppedCampaign>, LedgerError>> + Send;

    /// Adds the reason `operator`. Stopping twice keeps the first row and writes no audit.
    fn stop(&self, id: CampaignId, change: &Change) -> impl Future<Output = Result<CampaignView, LedgerError>> + Send;

    /// Takes away the reason `operator` and no other.
    fn resume(&self, id: CampaignId, change: &Change)
    -> impl Future<Output = Result<CampaignView, LedgerError>> + Send;

    /// Sets budgets; reasons that hold no longer go, reasons that hold now come.
    fn set_budget(
        &self,
        id: CampaignId,
        budget: &Budget,
        change: &Change,
    ) -> impl Future<Output = Result<CampaignView, LedgerError>> + Send;

    /// Sets an advertiser's balance in micros (a top-up), `None` for no limit.
    fn set_balance(
        &self,
        id: AdvertiserId,
        balance_micros: Option<i64>,
        change: &Change,
    ) -> impl Future<Output = Result<AdvertiserView, LedgerError>> + Send;

    /// Adds an adjustment. The same key again returns the first one and changes nothing.
    fn adjust(
        &self,
        adjustment: &NewAdjustment,
        change: &Change,
    ) -> impl Future<Output = Result<Adjustment, LedgerError>> + Send;

    /// The newest adjustments of a campaign first, at most `limit`.
    fn adjustments(
        &self,
        id: CampaignId,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Adjustment>, LedgerError>> + Send;

    /// Writes a row of the audit for what is changed elsewhere than in the ledger: `after` is JSON.
    /// After a lost connection it may stand there twice.
    fn record_change(
        &self,
        action: &'static str,
        subject: &str,
        after: &str,
        change: &Change,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// All campaigns by their numbers, with nothing but their names.
    fn directory(&self) -> impl Future<Output = Result<Vec<Listed>, LedgerError>> + Send;

    /// What a campaign was charged by hour and type.
    fn lines(
        &self,
        id: CampaignId,
        filter: &LineFilter,
    ) -> impl Future<Output = Result<Vec<LedgerLine>, LedgerError>> + Send;

    /// States of a campaign with a version below `before`, the newest first, at most `limit`. Old
    /// ones go by [`Horizons::outbox`]; those by hand stay in the audit.
    fn history(
        &self,
        id: CampaignId,
        before: Option<u64>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<StateChange>, LedgerError>> + Send;

    /// Audit rows, the newest first.
    fn audit(&self, filter: &AuditFilter) -> impl Future<Output = Result<Vec<AuditEntry>, LedgerError>> + Send;

    /// Positions, ranges and totals from one read transaction.
    fn books(&self) -> impl Future<Output = Result<Books, LedgerError>> + Send;

    // ---- the catalogue

    /// Imports a valid catalogue, all or nothing; prices hold for events received `lead` after
    /// the transaction began. Returns at once: waiting for `known_from` is the caller's.
    fn import(
        &self,
        catalogue: &Catalogue,
        lead: Duration,
        change: &Change,
    ) -> impl Future<Output = Result<ImportReport, LedgerError>> + Send;

    /// The catalogue as an import of today would have to look.
    fn export(&self) -> impl Future<Output = Result<Catalogue, LedgerError>> + Send;

    /// Number of the newest version of rates and tags, 0 before the first import.
    fn catalogue_version(&self) -> impl Future<Output = Result<u64, LedgerError>> + Send;

    /// All versions of all rates and tags, with the catalogue's version, from one read
    /// transaction that begins after the call. `complete_through` is left to the caller.
    fn load_catalogue(&self) -> impl Future<Output = Result<(u64, Snapshot), LedgerError>> + Send;

    // ---- what the publisher and the timers need

    /// Waits until this process is the one that publishes. A database of one process gives the
    /// lease at once.
    fn lead(&self) -> impl Future<Output = Result<Lease, LedgerError>> + Send {
        std::future::ready(Ok(Lease::forever()))
    }

    /// Gives versions to outbox rows that have none, then returns the unpublished ones by
    /// ascending version, at most `limit`.
    fn claim(&self, limit: u32) -> impl Future<Output = Result<Vec<StateChange>, LedgerError>> + Send;

    /// Returns when something was put on the outbox through this ledger or one of its clones
    /// since the last return. What other processes put there does not wake it. One waiter.
    fn outbox_changed(&self) -> impl Future<Output = ()> + Send;

    /// Marks these versions as published.
    fn published(&self, versions: &[u64]) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The newest published state of every campaign by ascending version: what a reader with an
    /// empty memory needs.
    fn states(&self) -> impl Future<Output = Result<Vec<StateChange>, LedgerError>> + Send;

    /// Totals of campaigns that changed since they were published last, at most `limit`.
    fn changed_kpis(&self, limit: u32) -> impl Future<Output = Result<Vec<KpiRecord>, LedgerError>> + Send;

    /// Marks these totals as published, unless they have changed since.
    fn kpis_published(&self, records: &[KpiRecord]) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Takes away `daily_budget` where its day is over, sets it where the new day's budget is
    /// already used up, and returns when to come next (the nearest midnight of any campaign).
    fn roll_days(&self) -> impl Future<Output = Result<Option<Micros>, LedgerError>> + Send;

    /// Purges and folds what is past its horizon, in bounded steps.
    fn housekeep(&self, horizons: &Horizons) -> impl Future<Output = Result<Housekept, LedgerError>> + Send;
}
