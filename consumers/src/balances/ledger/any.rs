//! The ledger that the settings ask for, behind one type: what commands and the panel hold.

#[cfg(feature = "cluster")]
use super::mariadb::MariaDbLedger;
use super::sqlite::SqliteLedger;
use async_trait::async_trait;
use penstock::accounts::{Accounts, AccountsError, NewToken, NewUser, SecretHash, Session, Token, User, UserChange};
use penstock::ledger::{
    Adjustment, AdvertiserId, AdvertiserView, Applied, AuditEntry, AuditFilter, Batch, Books, Budget, CampaignFilter,
    CampaignView, Catalogue, Change, Horizons, Housekept, ImportReport, KpiRecord, Lease, Ledger, LedgerError,
    LedgerLine, LineFilter, Listed, NewAdjustment, StateChange, StoppedCampaign,
};
use penstock::log::{LogId, Offset, Range};
use penstock::pricing::{CampaignId, Snapshot};
use penstock::settings::LedgerSettings;
use penstock::time::{Clock, Micros};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A ledger in one of the databases there are.
#[derive(Clone)]
pub enum AnyLedger {
    /// One file of this machine.
    Sqlite(SqliteLedger),
    /// A server that many processes share.
    #[cfg(feature = "cluster")]
    MariaDb(MariaDbLedger),
}

/// Opens the ledger that `settings` name: the MariaDB server of their URL, else the SQLite `file`.
///
/// Errors: [`LedgerError::Busy`] when the database is away or held: try again;
/// [`LedgerError::Fatal`] when it is none of ours, or this build has no MariaDB.
pub async fn open(settings: &LedgerSettings, file: &Path, clock: Arc<dyn Clock>) -> Result<AnyLedger, LedgerError> {
    if settings.url.is_none() {
        return SqliteLedger::open(file, clock).await.map(AnyLedger::Sqlite);
    }
    #[cfg(feature = "cluster")]
    return MariaDbLedger::open(settings, clock).await.map(AnyLedger::MariaDb);
    #[cfg(not(feature = "cluster"))]
    Err(LedgerError::Fatal("ledger.url is set, and this penstock was built without the feature `cluster`".to_owned()))
}

/// One call on whichever ledger it is.
macro_rules! either {
    ($self:ident, $ledger:ident => $call:expr) => {
        match $self {
            AnyLedger::Sqlite($ledger) => $call,
            #[cfg(feature = "cluster")]
            AnyLedger::MariaDb($ledger) => $call,
        }
    };
}

impl AnyLedger {
    /// Waits for what is under way, then closes all connections.
    pub async fn close(&self) {
        either!(self, l => l.close().await);
    }
}

impl Ledger for AnyLedger {
    async fn position(&self, log: &LogId) -> Result<Option<Offset>, LedgerError> {
        either!(self, l => l.position(log).await)
    }

    async fn apply(&self, log: &LogId, range: Range, batch: &Batch) -> Result<Applied, LedgerError> {
        either!(self, l => l.apply(log, range, batch).await)
    }

    async fn skip(&self, log: &LogId, gap: Range, change: &Change) -> Result<(), LedgerError> {
        either!(self, l => l.skip(log, gap, change).await)
    }

    async fn campaigns(&self, filter: &CampaignFilter) -> Result<Vec<CampaignView>, LedgerError> {
        either!(self, l => l.campaigns(filter).await)
    }

    async fn campaign(&self, id: CampaignId) -> Result<Option<CampaignView>, LedgerError> {
        either!(self, l => l.campaign(id).await)
    }

    async fn advertisers(&self) -> Result<Vec<AdvertiserView>, LedgerError> {
        either!(self, l => l.advertisers().await)
    }

    async fn stopped(&self) -> Result<Vec<StoppedCampaign>, LedgerError> {
        either!(self, l => l.stopped().await)
    }

    async fn stop(&self, id: CampaignId, change: &Change) -> Result<CampaignView, LedgerError> {
        either!(self, l => l.stop(id, change).await)
    }

    async fn resume(&self, id: CampaignId, change: &Change) -> Result<CampaignView, LedgerError> {
        either!(self, l => l.resume(id, change).await)
    }

    async fn set_budget(&self, id: CampaignId, budget: &Budget, change: &Change) -> Result<CampaignView, LedgerError> {
        either!(self, l => l.set_budget(id, budget, change).await)
    }

    async fn set_balance(
        &self,
        id: AdvertiserId,
        balance_micros: Option<i64>,
        change: &Change,
    ) -> Result<AdvertiserView, LedgerError> {
        either!(self, l => l.set_balance(id, balance_micros, change).await)
    }

    async fn adjust(&self, adjustment: &NewAdjustment, change: &Change) -> Result<Adjustment, LedgerError> {
        either!(self, l => l.adjust(adjustment, change).await)
    }

    async fn adjustments(&self, id: CampaignId, limit: u32) -> Result<Vec<Adjustment>, LedgerError> {
        either!(self, l => l.adjustments(id, limit).await)
    }

    async fn record_change(
        &self,
        action: &'static str,
        subject: &str,
        after: &str,
        change: &Change,
    ) -> Result<(), LedgerError> {
        either!(self, l => l.record_change(action, subject, after, change).await)
    }

    async fn directory(&self) -> Result<Vec<Listed>, LedgerError> {
        either!(self, l => l.directory().await)
    }

    async fn lines(&self, id: CampaignId, filter: &LineFilter) -> Result<Vec<LedgerLine>, LedgerError> {
        either!(self, l => l.lines(id, filter).await)
    }

    async fn history(&self, id: CampaignId, before: Option<u64>, limit: u32) -> Result<Vec<StateChange>, LedgerError> {
        either!(self, l => l.history(id, before, limit).await)
    }

    async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, LedgerError> {
        either!(self, l => l.audit(filter).await)
    }

    async fn books(&self) -> Result<Books, LedgerError> {
        either!(self, l => l.books().await)
    }

    async fn import(
        &self,
        catalogue: &Catalogue,
        lead: Duration,
        change: &Change,
    ) -> Result<ImportReport, LedgerError> {
        either!(self, l => l.import(catalogue, lead, change).await)
    }

    async fn export(&self) -> Result<Catalogue, LedgerError> {
        either!(self, l => l.export().await)
    }

    async fn catalogue_version(&self) -> Result<u64, LedgerError> {
        either!(self, l => l.catalogue_version().await)
    }

    async fn load_catalogue(&self) -> Result<(u64, Snapshot), LedgerError> {
        either!(self, l => l.load_catalogue().await)
    }

    async fn lead(&self) -> Result<Lease, LedgerError> {
        either!(self, l => l.lead().await)
    }

    async fn claim(&self, limit: u32) -> Result<Vec<StateChange>, LedgerError> {
        either!(self, l => l.claim(limit).await)
    }

    async fn outbox_changed(&self) {
        either!(self, l => l.outbox_changed().await);
    }

    async fn published(&self, versions: &[u64]) -> Result<(), LedgerError> {
        either!(self, l => l.published(versions).await)
    }

    async fn states(&self) -> Result<Vec<StateChange>, LedgerError> {
        either!(self, l => l.states().await)
    }

    async fn changed_kpis(&self, limit: u32) -> Result<Vec<KpiRecord>, LedgerError> {
        either!(self, l => l.changed_kpis(limit).await)
    }

    async fn kpis_published(&self, records: &[KpiRecord]) -> Result<(), LedgerError> {
        either!(self, l => l.kpis_published(records).await)
    }

    async fn roll_days(&self) -> Result<Option<Micros>, LedgerError> {
        either!(self, l => l.roll_days().await)
    }

    async fn housekeep(&self, horizons: &Horizons) -> Result<Housekept, LedgerError> {
        either!(self, l => l.housekeep(horizons).await)
    }
}

#[async_trait]
impl Accounts for AnyLedger {
    async fn users(&self) -> Result<Vec<User>, AccountsError> {
        either!(self, l => l.users().await)
    }

    async fn user(&self, name: &str) -> Result<Option<(User, Option<String>)>, AccountsError> {
        either!(self, l => l.user(name).await)
    }

    async fn user_of_subject(&self, subject: &str) -> Result<Option<User>, AccountsError> {
        either!(self, l => l.user_of_subject(subject).await)
    }

    async fn add_first_user(&self, user: &NewUser, change: &Change) -> Result<bool, AccountsError> {
        either!(self, l => l.add_first_user(user, change).await)
    }

    async fn add_user(&self, user: &NewUser, change: &Change) -> Result<User, AccountsError> {
        either!(self, l => l.add_user(user, change).await)
    }

    async fn change_user(&self, name: &str, what: &UserChange, change: &Change) -> Result<User, AccountsError> {
        either!(self, l => l.change_user(name, what, change).await)
    }

    async fn remove_user(&self, name: &str, change: &Change) -> Result<(), AccountsError> {
        either!(self, l => l.remove_user(name, change).await)
    }

    async fn open_session(
        &self,
        hash: &SecretHash,
        user: &str,
        password_hash: Option<&str>,
        change: &Change,
    ) -> Result<User, AccountsError> {
        either!(self, l => l.open_session(hash, user, password_hash, change).await)
    }

    async fn session(&self, hash: &SecretHash) -> Result<Option<Session>, AccountsError> {
        either!(self, l => l.session(hash).await)
    }

    async fn use_session(&self, hash: &SecretHash) -> Result<(), AccountsError> {
        either!(self, l => l.use_session(hash).await)
    }

    async fn end_session(&self, hash: &SecretHash) -> Result<(), AccountsError> {
        either!(self, l => l.end_session(hash).await)
    }

    async fn forget_sessions(&self, opened: Micros, used: Micros) -> Result<u64, AccountsError> {
        either!(self, l => l.forget_sessions(opened, used).await)
    }

    async fn tokens(&self) -> Result<Vec<Token>, AccountsError> {
        either!(self, l => l.tokens().await)
    }

    async fn token(&self, id: &str) -> Result<Option<(Token, SecretHash)>, AccountsError> {
        either!(self, l => l.token(id).await)
    }

    async fn add_token(&self, token: &NewToken, change: &Change) -> Result<Token, AccountsError> {
        either!(self, l => l.add_token(token, change).await)
    }

    async fn remove_token(&self, id: &str, change: &Change) -> Result<(), AccountsError> {
        either!(self, l => l.remove_token(id, change).await)
    }

    async fn use_token(&self, id: &str) -> Result<(), AccountsError> {
        either!(self, l => l.use_token(id).await)
    }

    async fn note(&self, action: &'static str, subject: &str, change: &Change) -> Result<(), AccountsError> {
        either!(self, l => l.note(action, subject, change).await)
    }
}
