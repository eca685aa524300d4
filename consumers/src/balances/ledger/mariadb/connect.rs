//! From settings to a pool of connections that all behave alike, and a schema that is up to date.

use super::failed;
use penstock::ledger::LedgerError;
use penstock::settings::LedgerSettings;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPool, MySqlPoolOptions, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("../schemas/mariadb");
    // The lock is ours, see `migrate`.
    migrations.set_locking(false);
    migrations
});

/// How long a process waits for another one that brings the schema up to date, in seconds.
const MIGRATION_WAIT: u32 = 120;
/// JSON_TABLE came with it.
const OLDEST: (u32, u32) = (10, 6);
/// A connection is replaced after this, so that a failover's old address is not held for ever.
const LIFETIME: Duration = Duration::from_secs(1_800);

fn fatal(message: impl std::fmt::Display) -> LedgerError {
    LedgerError::Fatal(message.to_string())
}

/// The server's address, user, password and encryption.
///
/// Errors: [`LedgerError::Fatal`] when the URL or a secret cannot be read.
pub(super) fn options(settings: &LedgerSettings) -> Result<MySqlConnectOptions, LedgerError> {
    let url = settings.url.as_deref().ok_or_else(|| fatal("ledger.url is not set"))?;
    let mut options = MySqlConnectOptions::from_str(url)
        .map_err(|e| fatal(format!("ledger.url: {e}")))?
        .charset("utf8mb4")
        .pipes_as_concat(false)
        .disable_statement_logging();
    if let Some(password) = settings.password.read("ledger.password").map_err(fatal)? {
        options = options.password(&password);
    }
    options = match (settings.tls, &settings.ca_file) {
        (true, Some(ca)) => options.ssl_mode(MySqlSslMode::VerifyIdentity).ssl_ca(ca),
        (true, None) => return Err(fatal("ledger.tls needs ledger.ca_file")),
        (false, _) => options.ssl_mode(MySqlSslMode::Disabled),
    };
    if let (Some(cert), Some(key)) = (&settings.cert_file, &settings.key_file) {
        options = options.ssl_client_cert(cert).ssl_client_key(key);
    }
    Ok(options)
}

/// What every connection sets for itself, whatever the server's defaults are.
///
/// A transaction whose client is cut off would hold its locks until the server's TCP stack notices
/// (hours): `idle_transaction_timeout` rolls it back as soon as we have stopped waiting for it.
fn session(timeout: Duration) -> String {
    let (most, lock) = (timeout.as_secs().max(1), (timeout.as_secs() / 3).max(1));
    format!(
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
         SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',
            autocommit = 1, foreign_key_checks = 1, unique_checks = 1,
            innodb_lock_wait_timeout = {lock}, lock_wait_timeout = {lock},
            max_statement_time = {most}, idle_transaction_timeout = {most}"
    )
}

/// The pool; nothing is connected yet.
pub(super) fn pool(options: MySqlConnectOptions, settings: &LedgerSettings) -> MySqlPool {
    let session = session(settings.timeout);
    MySqlPoolOptions::new()
        .max_connections(settings.connections)
        .min_connections(0)
        .acquire_timeout(settings.timeout)
        .max_lifetime(LIFETIME)
        .after_connect(move |conn, _| {
            let session = session.clone();
            Box::pin(async move { sqlx::raw_sql(AssertSqlSafe(session)).execute(conn).await.map(drop) })
        })
        .connect_lazy_with(options)
}

/// Looks at the server, then brings the schema up to date, over a connection of its own: DDL may
/// take longer than any call.
///
/// Errors: [`LedgerError::Busy`] when the server is away, [`LedgerError::Fatal`] when it is none
/// that the ledger can live on, or holds a newer schema.
pub(super) async fn prepare(options: &MySqlConnectOptions, timeout: Duration) -> Result<(), LedgerError> {
    let connected = tokio::time::timeout(timeout, MySqlConnection::connect_with(options)).await;
    let silent = || LedgerError::Busy(format!("no answer from {} within {timeout:?}", options.get_host()));
    let mut conn = connected.map_err(|_| silent())?.map_err(failed)?;
    tokio::time::timeout(timeout, look(&mut conn)).await.map_err(|_| silent())??;
    if !up_to_date(&mut conn).await? {
        migrate(&mut conn).await?;
    }
    // The lock, if we hold it, goes with the connection.
    if let Err(error) = conn.close().await {
        tracing::debug!(%error, "a connection to the ledger did not close in order");
    }
    Ok(())
}

async fn look(conn: &mut MySqlConnection) -> Result<(), LedgerError> {
    let (version, binlog, format, flush): (String, i64, String, i64) = sqlx::query_as(
        "SELECT VERSION(), @@log_bin, @@binlog_format, CAST(@@innodb_flush_log_at_trx_commit AS SIGNED)",
    )
    .fetch_one(conn)
    .await
    .map_err(failed)?;
    let mut numbers = version.split(['.', '-']).map(|n| n.parse::<u32>().unwrap_or(0));
    let release = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if !version.contains("MariaDB") || release < OLDEST {
        return Err(fatal(format!("the server is {version}; the ledger needs MariaDB 10.6 or later")));
    }
    if binlog != 0 && format.eq_ignore_ascii_case("STATEMENT") {
        return Err(fatal(
            "the server's binlog_format is STATEMENT, which READ COMMITTED cannot be logged by: set MIXED",
        ));
    }
    if flush != 1 {
        tracing::warn!(
            "innodb_flush_log_at_trx_commit is {flush}: a power cut of the server takes back what it has confirmed"
        );
    }
    Ok(())
}

/// Whether all our migrations were applied as they are. Reading is all that it needs, so that a
/// process may run as a user who cannot change the schema.
async fn up_to_date(conn: &mut MySqlConnection) -> Result<bool, LedgerError> {
    let applied: Result<Vec<(i64, Vec<u8>, bool)>, sqlx::Error> =
        sqlx::query_as("SELECT version, checksum, success FROM _sqlx_migrations").fetch_all(conn).await;
    let applied: BTreeMap<i64, Vec<u8>> = match applied {
        Ok(rows) => rows.into_iter().filter(|row| row.2).map(|(version, checksum, _)| (version, checksum)).collect(),
        Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("42S02") => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    if let Some(newer) = applied.keys().find(|version| !MIGRATIONS.version_exists(**version)) {
        return Err(fatal(format!("the ledger's schema is of a newer version ({newer}) than this program")));
    }
    Ok(MIGRATIONS.iter().all(|m| applied.get(&m.version).is_some_and(|checksum| **checksum == *m.checksum)))
}

/// Runs what is missing, one process at a time.
///
/// sqlx's own lock waits with a negative time-out, which MariaDB answers with NULL: it locks
/// nothing. And MariaDB commits after each statement of DDL, so a migration that was cut off is
/// there in part and marked as not done; all of its statements can run again.
async fn migrate(conn: &mut MySqlConnection) -> Result<(), LedgerError> {
    let locked: Option<i64> = sqlx::query_scalar("SELECT GET_LOCK(CONCAT('penstock.schema.', MD5(DATABASE())), ?)")
        .bind(MIGRATION_WAIT)
        .fetch_one(&mut *conn)
        .await
        .map_err(failed)?;
    if locked != Some(1) {
        return Err(LedgerError::Busy("another process brings the ledger's schema up to date".to_owned()));
    }
    let cut_off = sqlx::query("DELETE FROM _sqlx_migrations WHERE success = FALSE").execute(&mut *conn).await;
    match cut_off {
        Ok(done) if done.rows_affected() > 0 => tracing::warn!("a migration of the ledger was cut off and runs again"),
        Ok(_) => {}
        Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("42S02") => {}
        Err(error) => return Err(failed(error)),
    }
    MIGRATIONS.run_direct(None, conn, false).await.map_err(|e| match e {
        MigrateError::Execute(e) => failed(e),
        other => fatal(format!("the ledger's schema: {other}")),
    })
}
