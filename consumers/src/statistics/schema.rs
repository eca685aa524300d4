//! The tables of `schemas/clickhouse`, applied in order, each once.

use clickhouse::Client;
use clickhouse::error::Result;

/// Number, name and statements of each migration; never changed once released, only added to.
const MIGRATIONS: &[(u32, &str, &str)] = &[
    (1, "events", include_str!("../../../schemas/clickhouse/0001_events.sql")),
    (2, "stats_minute", include_str!("../../../schemas/clickhouse/0002_stats_minute.sql")),
];

/// Makes the database and brings its tables up to date; does nothing when they are.
///
/// Two processes may do so at once: every statement can be repeated, and so can the note that it
/// was applied. `database` is a name that the settings have checked.
///
/// Errors: ClickHouse's.
pub async fn apply(client: &Client, database: &str) -> Result<()> {
    // The database may not be there yet, so nothing may name it as the current one.
    let client = client.clone().with_database("default");
    let run = |sql: String| {
        let client = client.clone();
        async move { client.query_raw(&sql).execute().await }
    };
    run(format!("CREATE DATABASE IF NOT EXISTS `{database}`")).await?;
    run(format!(
        "CREATE TABLE IF NOT EXISTS `{database}`.schema_versions (version UInt32, name String, \
         applied DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY version"
    ))
    .await?;
    let applied =
        client.query(&format!("SELECT DISTINCT version FROM `{database}`.schema_versions")).fetch_all::<u32>().await?;
    for (version, name, text) in MIGRATIONS.iter().filter(|(version, ..)| !applied.contains(version)) {
        for statement in statements(&text.replace("{database}", &format!("`{database}`"))) {
            run(statement).await?;
        }
        run(format!("INSERT INTO `{database}`.schema_versions (version, name) SELECT {version}, '{name}'")).await?;
        tracing::info!(version, name, database, "ClickHouse's tables were brought up to date");
    }
    Ok(())
}

/// The statements of a migration: they end with a `;` at a line's end, which no literal here has.
fn statements(text: &str) -> Vec<String> {
    text.split(";\n").map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_in_order_and_hold_whole_statements() {
        for (i, (version, name, text)) in MIGRATIONS.iter().enumerate() {
            assert_eq!(*version as usize, i + 1, "{name}");
            let statements = statements(text);
            assert!(!statements.is_empty() && statements.iter().all(|s| s.contains("{database}")), "{name}");
        }
    }
}
