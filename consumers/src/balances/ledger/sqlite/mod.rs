//! The ledger in one SQLite file: one writer, any number of readers.
//!
//! WAL and `synchronous=FULL`: a COMMIT that has answered survives a power cut. Every change
//! goes through the one write connection as `BEGIN IMMEDIATE`, so what a transaction has read
//! still holds when it writes. Readers have connections of their own and see whole
//! transactions only.

mod access;
mod accounts;
mod adjust;
mod apply;
mod control;
mod dialect;
mod import;
mod keeping;
mod outbox;

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
    CampaignView, Catalogue, Change, Horizons, Housekept, ImportReport, KpiRecord, Ledger, LedgerError, LedgerLine,
    LineFilter, Listed, NewAdjustment, StateChange, StoppedCampaign,
};
use penstock::log::{LogId, Offset, Range};
use penstock::pricing::{CampaignId, Snapshot};
use penstock::time::{Clock, Micros};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, Sqlite, SqliteConnection, Transaction};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard, Notify};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../schemas/sqlite");

/// How long a statement waits for another process's lock on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections for reading; a reader beyond them waits.
const READERS: u32 = 4;
/// The write-ahead log is cut back to this many bytes after a checkpoint.
const WAL_LIMIT: &str = "67108864";

/// A ledger in a SQLite file. Clones share it.
#[derive(Clone)]
pub struct SqliteLedger {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Mutex<SqliteConnection>,
    readers: SqlitePool,
    /// Rung after a COMMIT that may have put something on the outbox.
    outbox: Notify,
    clock: Arc<dyn Clock>,
}

type Tx<'a> = Transaction<'a, Sqlite>;
/// What the files of `alike` run on here.
type Connection = SqliteConnection;

/// Makes the file when it is not there, for its owner alone; SQLite gives its log the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

impl SqliteLedger {
    /// Opens the file, makes it when it is not there, and brings its tables up to date.
    ///
    /// Errors: [`LedgerError::Fatal`] when the file is no ledger or of a newer version,
    /// [`LedgerError::Busy`] when another process holds it.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<SqliteLedger, LedgerError> {
        make_private(path).map_err(|e| LedgerError::Fatal(format!("{}: {e}", path.display())))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("journal_size_limit", WAL_LIMIT)
            .disable_statement_logging();
        let mut writer = SqliteConnection::connect_with(&options).await.map_err(failed)?;
        MIGRATIONS.run_direct(None, &mut writer, false).await.map_err(|e| match e {
            sqlx::migrate::MigrateError::Execute(e) => failed(e),
            other => LedgerError::Fatal(format!("{}: {other}", path.display())),
        })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(0)
            .connect_lazy_with(options.create_if_missing(false).pragma("query_only", "on"));
        Ok(SqliteLedger {
            inner: Arc::new(Inner { writer: Mutex::new(writer), readers, outbox: Notify::new(), clock }),
        })
    }

    /// Waits for what is under way, then closes all connections; the last checkpoint runs here.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        let mut writer = self.inner.writer.lock().await;
        // Closing needs the connection by value; a statement does what closing would have done.
        if let Err(e) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *writer).await {
            tracing::warn!(error = %e, "the ledger's last checkpoint did not finish; the next start reads the log");
        }
    }

    fn now(&self) -> Micros {
        self.inner.clock.now()
    }

    /// Wakes the publisher.
    fn ring(&self) {
        self.inner.outbox.notify_one();
    }

    async fn writer(&self) -> MutexGuard<'_, SqliteConnection> {
        self.inner.writer.lock().await
    }

    /// A read transaction: everything in it sees one state of the ledger.
    async fn read(&self) -> Result<Tx<'static>, LedgerError> {
        self.inner.readers.begin().await.map_err(failed)
    }
}

/// Begins the write transaction on the one writer.
async fn begin<'a>(writer: &'a mut MutexGuard<'_, SqliteConnection>) -> Result<Tx<'a>, LedgerError> {
    writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)
}

/// Sorts SQLite's result codes into what a caller can do about them.
fn failed(error: sqlx::Error) -> LedgerError {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const IO: i32 = 10;
    const FULL: i32 = 13;
    const CANNOT_OPEN: i32 = 14;
    match &error {
        sqlx::Error::Database(e) => {
            let code = e.code().and_then(|c| c.parse::<i32>().ok()).unwrap_or(0) & 0xFF;
            match code {
                BUSY | LOCKED | IO | FULL | CANNOT_OPEN => LedgerError::Busy(error.to_string()),
                _ => LedgerError::Fatal(error.to_string()),
            }
        }
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => LedgerError::Busy(error.to_string()),
        _ => LedgerError::Fatal(error.to_string()),
    }
}

/// Runs a statement over rows, part by part; not at all when there is none.
async fn run(tx: &mut SqliteConnection, statement: &'static str, rows: Rows) -> Result<(), LedgerError> {
    for part in rows.parts() {
        sqlx::query(statement).bind(part).execute(&mut *tx).await.map_err(failed)?;
    }
    Ok(())
}

impl Ledger for SqliteLedger {
    async fn position(&self, log: &LogId) -> Result<Option<Offset>, LedgerError> {
        apply::position(self, log).await
    }

    async fn apply(&self, log: &LogId, range: Range, batch: &Batch) -> Result<Applied, LedgerError> {
        apply::apply(self, log, range, batch).await
    }

    async fn skip(&self, log: &LogId, gap: Range, change: &Change) -> Result<(), LedgerError> {
        apply::skip(self, log, gap, change).await
    }

    async fn campaigns(&self, filter: &CampaignFilter) -> Result<Vec<CampaignView>, LedgerError> {
        let mut tx = self.read().await?;
        views::campaigns(&mut tx, filter, self.now()).await
    }

    async fn campaign(&self, id: CampaignId) -> Result<Option<CampaignView>, LedgerError> {
        let mut tx = self.read().await?;
        views::campaign(&mut tx, id, self.now()).await
    }

    async fn advertisers(&self) -> Result<Vec<AdvertiserView>, LedgerError> {
        let mut tx = self.read().await?;
        views::advertisers(&mut tx, None).await
    }

    async fn stopped(&self) -> Result<Vec<StoppedCampaign>, LedgerError> {
        let mut tx = self.read().await?;
        views::stopped(&mut tx).await
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
        let mut tx = self.read().await?;
        adjustments::list(&mut tx, id, limit).await
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
        let mut tx = self.read().await?;
        views::directory(&mut tx).await
    }

    async fn lines(&self, id: CampaignId, filter: &LineFilter) -> Result<Vec<LedgerLine>, LedgerError> {
        let mut tx = self.read().await?;
        views::lines(&mut tx, id, filter).await
    }

    async fn history(&self, id: CampaignId, before: Option<u64>, limit: u32) -> Result<Vec<StateChange>, LedgerError> {
        let mut tx = self.read().await?;
        told::history(&mut tx, id, before, limit).await
    }

    async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, LedgerError> {
        let mut tx = self.read().await?;
        views::audit(&mut tx, filter).await
    }

    async fn books(&self) -> Result<Books, LedgerError> {
        let mut tx = self.read().await?;
        views::books(&mut tx).await
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
        let mut tx = self.read().await?;
        catalogue::export(&mut tx).await
    }

    async fn catalogue_version(&self) -> Result<u64, LedgerError> {
        let mut tx = self.read().await?;
        catalogue::version(&mut tx).await
    }

    async fn load_catalogue(&self) -> Result<(u64, Snapshot), LedgerError> {
        let mut tx = self.read().await?;
        catalogue::load(&mut tx).await
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
        let mut tx = self.read().await?;
        told::states(&mut tx).await
    }

    async fn changed_kpis(&self, limit: u32) -> Result<Vec<KpiRecord>, LedgerError> {
        let mut tx = self.read().await?;
        told::changed_kpis(&mut tx, limit, self.now()).await
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
