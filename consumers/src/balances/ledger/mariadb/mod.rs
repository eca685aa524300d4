//! The ledger on MariaDB: many processes, many partitions at a time, one primary server.
//!
//! The one thing to know is the **order of locks**. Every transaction that writes takes what it
//! needs in this order, and within a table by ascending key:
//!
//! `counters` ▸ `positions` ▸ `charges` ▸ `advertisers` ▸ `campaigns` ▸ what hangs on a campaign or
//! an advertiser (`campaign_days`, `ledger`, `campaign_kpis`, `campaign_totals`, `ranges`, `stops`,
//! `outbox`, `audit`).
//!
//! A row of `campaigns` or `advertisers` is locked before anything is read that a decision rests
//! on, and it guards all that hangs on it. So under READ COMMITTED, where each statement sees what
//! is committed by then, what was read still holds when it is written. Statements join a list of
//! keys (`JSON_TABLE`) to a table by STRAIGHT_JOIN and FORCE INDEX: so rows are locked in the
//! list's order, and never by a scan. What still deadlocks, or meets a lost connection, begins
//! again (`tx`).

mod access;
mod accounts;
mod adjust;
mod apply;
mod connect;
mod control;
mod dialect;
mod import;
mod keeping;
mod lease;
mod outbox;
mod tx;

#[path = "../alike/account.rs"]
mod account;
#[path = "../alike/adjustments.rs"]
mod adjustments;
#[path = "../alike/catalogue.rs"]
mod catalogue;
#[path = "../alike/changes.rs"]
mod changes;
#[path = "../alike/days.rs"]
mod days;
#[path = "../alike/fold.rs"]
mod fold;
#[path = "../alike/forget.rs"]
mod forget;
#[path = "../alike/imported.rs"]
mod imported;
#[path = "../alike/people.rs"]
mod people;
#[path = "../alike/settle.rs"]
mod settle;
#[path = "../alike/stops.rs"]
mod stops;
#[path = "../alike/told.rs"]
mod told;
#[path = "../alike/views.rs"]
mod views;

use super::rows::Rows;
use super::{fit, signed};
use penstock::ledger::{
    Adjustment, AdvertiserId, AdvertiserView, Applied, AuditEntry, AuditFilter, Batch, Books, Budget, CampaignFilter,
    CampaignView, Catalogue, Change, Horizons, Housekept, ImportReport, KpiRecord, Lease, Ledger, LedgerError,
    LedgerLine, LineFilter, Listed, NewAdjustment, StateChange, StoppedCampaign,
};
use penstock::log::{LogId, Offset, Range};
use penstock::pricing::{CampaignId, Snapshot};
use penstock::settings::LedgerSettings;
use penstock::time::{Clock, Micros};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlPool};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tx::Tx;

/// A ledger on a MariaDB server. Clones share its connections.
#[derive(Clone)]
pub struct MariaDbLedger {
    inner: Arc<Inner>,
}

struct Inner {
    pool: MySqlPool,
    /// Rung after a COMMIT of this process that may have put something on the outbox.
    outbox: Notify,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    /// For connections that are not the pool's: the publisher's lease.
    options: MySqlConnectOptions,
    lease: Duration,
}

impl MariaDbLedger {
    /// Connects, looks at the server, and brings the schema up to date when it is not.
    ///
    /// Errors: [`LedgerError::Busy`] when the server is away: try again; [`LedgerError::Fatal`]
    /// when it is refused, too old, or holds a newer schema.
    pub async fn open(settings: &LedgerSettings, clock: Arc<dyn Clock>) -> Result<MariaDbLedger, LedgerError> {
        let options = connect::options(settings)?;
        connect::prepare(&options, settings.timeout).await?;
        let pool = connect::pool(options.clone(), settings);
        let (timeout, lease) = (settings.timeout, settings.publisher_lease);
        let inner = Inner { pool, outbox: Notify::new(), clock, timeout, options, lease };
        Ok(MariaDbLedger { inner: Arc::new(inner) })
    }

    /// Waits for what is under way, then closes all connections.
    pub async fn close(&self) {
        self.inner.pool.close().await;
    }

    fn now(&self) -> Micros {
        self.inner.clock.now()
    }

    /// Wakes the publisher of this process; that of another one looks by itself.
    fn ring(&self) {
        self.inner.outbox.notify_one();
    }
}

/// What the files of `alike` run on here.
type Connection = MySqlConnection;

/// Errors after which the same transaction may work: the server's number for each.
const PASSING: [u16; 21] = [
    1020, // record has changed since last read
    1021, // disk full
    1040, // too many connections
    1047, // the cluster node is not ready
    1053, // the server goes down
    1077, // normal shutdown
    1114, // table full
    1129, // host blocked for its errors
    1158, 1159, 1160, 1161, // the server's side of the network
    1203, 1226, // the user's limit of connections
    1205, // lock wait time-out
    1213, // deadlock
    1290, // read-only: a failover is under way
    1317, // the statement was interrupted
    1836, // read-only
    1927, // the connection was killed
    1969, // max_statement_time
];

/// Sorts errors into what a caller can do about them.
fn failed(error: sqlx::Error) -> LedgerError {
    match &error {
        sqlx::Error::Database(e) => {
            let number = e.try_downcast_ref::<MySqlDatabaseError>().map_or(0, MySqlDatabaseError::number);
            if PASSING.contains(&number) {
                LedgerError::Busy(error.to_string())
            } else {
                LedgerError::Fatal(error.to_string())
            }
        }
        // A connection that breaks in the middle of a packet shows as a breach of the protocol.
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => {
            LedgerError::Busy(error.to_string())
        }
        _ => LedgerError::Fatal(error.to_string()),
    }
}

/// Runs a statement over rows, part by part; not at all when there is none.
async fn run(tx: &mut MySqlConnection, statement: &'static str, rows: Rows) -> Result<(), LedgerError> {
    for part in rows.parts() {
        sqlx::query(statement).bind(part).execute(&mut *tx).await.map_err(failed)?;
    }
    Ok(())
}

/// Locks a row of `counters`: one transaction at a time does what it names. Returns its value.
async fn lock_counter(tx: &mut MySqlConnection, name: &'static str) -> Result<i64, LedgerError> {
    sqlx::query_scalar("SELECT value FROM counters WHERE name = ? FOR UPDATE")
        .bind(name)
        .fetch_one(tx)
        .await
        .map_err(failed)
}

/// Reads within one snapshot, tried again when the server asks for it.
macro_rules! read {
    ($self:ident, |$tx:ident| $read:expr) => {
        $self
            .retried(|| async {
                let mut $tx: Tx = $self.snapshot().await?;
                let found = $read.await?;
                $tx.rollback().await?;
                Ok(found)
            })
            .await
    };
}

impl Ledger for MariaDbLedger {
    async fn position(&self, log: &LogId) -> Result<Option<Offset>, LedgerError> {
        read!(self, |tx| apply::position(&mut tx, log))
    }

    async fn apply(&self, log: &LogId, range: Range, batch: &Batch) -> Result<Applied, LedgerError> {
        apply::apply(self, log, range, batch).await
    }

    async fn skip(&self, log: &LogId, gap: Range, change: &Change) -> Result<(), LedgerError> {
        apply::skip(self, log, gap, change).await
    }

    async fn campaigns(&self, filter: &CampaignFilter) -> Result<Vec<CampaignView>, LedgerError> {
        read!(self, |tx| views::campaigns(&mut tx, filter, self.now()))
    }

    async fn campaign(&self, id: CampaignId) -> Result<Option<CampaignView>, LedgerError> {
        read!(self, |tx| views::campaign(&mut tx, id, self.now()))
    }

    async fn advertisers(&self) -> Result<Vec<AdvertiserView>, LedgerError> {
        read!(self, |tx| views::advertisers(&mut tx, None))
    }

    async fn stopped(&self) -> Result<Vec<StoppedCampaign>, LedgerError> {
        read!(self, |tx| views::stopped(&mut tx))
    }

    async fn stop(&self, id: CampaignId, change: &Change) -> Result<CampaignView, LedgerError> {
        control::operate(self, id, true, change).await
    }

    async fn resume(&self, id: CampaignId, change: &Change) -> Result<CampaignView, LedgerError> {
        control::operate(self, id, false, change).await
    }

    async fn set_budget(&self, id: CampaignId, budget: &Budget, change: &Change) -> Result<CampaignView, LedgerError> {
        control::set_budget(self, id, budget, change).await
    }

    async fn set_balance(
        &self,
        id: AdvertiserId,
        balance_micros: Option<i64>,
        change: &Change,
    ) -> Result<AdvertiserView, LedgerError> {
        control::set_balance(self, id, balance_micros, change).await
    }

    async fn adjust(&self, adjustment: &NewAdjustment, change: &Change) -> Result<Adjustment, LedgerError> {
        adjust::adjust(self, adjustment, change).await
    }

    async fn adjustments(&self, id: CampaignId, limit: u32) -> Result<Vec<Adjustment>, LedgerError> {
        read!(self, |tx| adjustments::list(&mut tx, id, limit))
    }

    async fn record_change(
        &self,
        action: &'static str,
        subject: &str,
        after: &str,
        change: &Change,
    ) -> Result<(), LedgerError> {
        control::note(self, action, subject, after, change).await
    }

    async fn directory(&self) -> Result<Vec<Listed>, LedgerError> {
        read!(self, |tx| views::directory(&mut tx))
    }

    async fn lines(&self, id: CampaignId, filter: &LineFilter) -> Result<Vec<LedgerLine>, LedgerError> {
        read!(self, |tx| views::lines(&mut tx, id, filter))
    }

    async fn history(&self, id: CampaignId, before: Option<u64>, limit: u32) -> Result<Vec<StateChange>, LedgerError> {
        read!(self, |tx| told::history(&mut tx, id, before, limit))
    }

    async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, LedgerError> {
        read!(self, |tx| views::audit(&mut tx, filter))
    }

    async fn books(&self) -> Result<Books, LedgerError> {
        read!(self, |tx| views::books(&mut tx))
    }

    async fn import(
        &self,
        catalogue: &Catalogue,
        lead: Duration,
        change: &Change,
    ) -> Result<ImportReport, LedgerError> {
        import::import(self, catalogue, lead, change).await
    }

    async fn export(&self) -> Result<Catalogue, LedgerError> {
        read!(self, |tx| catalogue::export(&mut tx))
    }

    async fn catalogue_version(&self) -> Result<u64, LedgerError> {
        read!(self, |tx| catalogue::version(&mut tx))
    }

    async fn load_catalogue(&self) -> Result<(u64, Snapshot), LedgerError> {
        read!(self, |tx| catalogue::load(&mut tx))
    }

    async fn lead(&self) -> Result<Lease, LedgerError> {
        lease::lead(self).await
    }

    async fn claim(&self, limit: u32) -> Result<Vec<StateChange>, LedgerError> {
        outbox::claim(self, limit).await
    }

    async fn outbox_changed(&self) {
        self.inner.outbox.notified().await;
    }

    async fn published(&self, versions: &[u64]) -> Result<(), LedgerError> {
        outbox::published(self, versions).await
    }

    async fn states(&self) -> Result<Vec<StateChange>, LedgerError> {
        read!(self, |tx| told::states(&mut tx))
    }

    async fn changed_kpis(&self, limit: u32) -> Result<Vec<KpiRecord>, LedgerError> {
        read!(self, |tx| told::changed_kpis(&mut tx, limit, self.now()))
    }

    async fn kpis_published(&self, records: &[KpiRecord]) -> Result<(), LedgerError> {
        outbox::kpis_published(self, records).await
    }

    async fn roll_days(&self) -> Result<Option<Micros>, LedgerError> {
        keeping::roll_days(self).await
    }

    async fn housekeep(&self, horizons: &Horizons) -> Result<Housekept, LedgerError> {
        keeping::housekeep(self, horizons).await
    }
}
