//! What a server has, as its system tables tell it.

use super::Layout;
use super::template::{Column, one_line};
use clickhouse::error::Result;
use clickhouse::{Client, Row};
use serde::Deserialize;

/// One table or view of the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub name: String,
    /// `MergeTree`, `ReplicatedMergeTree('…', '…')`, `Distributed(…)`, `View`.
    pub engine: String,
    pub partition_by: String,
    pub order_by: String,
    pub settings: Vec<(String, String)>,
    /// The query of a view.
    pub query: String,
    /// Something makes rows go away by age.
    pub forgets: bool,
    pub columns: Vec<Column>,
    pub indices: Vec<(String, String)>,
    pub projections: Vec<(String, String)>,
}

#[derive(Row, Deserialize)]
struct TableRow {
    name: String,
    engine_full: String,
    engine: String,
    partition_key: String,
    sorting_key: String,
    as_select: String,
    forgets: bool,
}

#[derive(Row, Deserialize)]
struct Part {
    table: String,
    name: String,
    text: String,
    more: String,
}

/// Reads the database of `layout` on one server. Errors: ClickHouse's.
pub(super) async fn read(client: &Client, layout: &Layout) -> Result<Vec<Found>> {
    // The database may not be there.
    let client = client.clone().with_database("default");
    let tables = client
        .query(
            "SELECT name, engine_full, engine, partition_key, sorting_key, as_select, \
             position(create_table_query, ' TTL ') > 0 AS forgets \
             FROM system.tables WHERE database = ? ORDER BY name",
        )
        .bind(&layout.database)
        .fetch_all::<TableRow>()
        .await?;
    let parts = |sql: &'static str| client.query(sql).bind(&layout.database).fetch_all::<Part>();
    let columns = parts(
        "SELECT table, name, type AS text, compression_codec AS more FROM system.columns \
         WHERE database = ? ORDER BY table, position",
    )
    .await?;
    let indices = parts(
        "SELECT table, name, concat('(', expr, ') TYPE ', type_full, ' GRANULARITY ', toString(granularity)) AS text, \
         '' AS more FROM system.data_skipping_indices WHERE database = ?",
    )
    .await?;
    let projections =
        parts("SELECT table, name, query AS text, '' AS more FROM system.projections WHERE database = ?").await?;
    let of = |parts: &[Part], table: &str| -> Vec<(String, String)> {
        let parts = parts.iter().filter(|p| p.table == table);
        parts.map(|p| (p.name.clone(), one_line(&p.text))).collect()
    };
    let found = tables.into_iter().map(|table| {
        let (engine, settings) = engine(&table.engine_full, &table.engine);
        let columns = columns.iter().filter(|c| c.table == table.name);
        Found {
            engine,
            settings,
            partition_by: table.partition_key,
            order_by: table.sorting_key,
            query: one_line(&table.as_select).replace('`', ""),
            forgets: table.forgets,
            columns: columns.map(column).collect(),
            indices: of(&indices, &table.name),
            projections: of(&projections, &table.name),
            name: table.name,
        }
    });
    Ok(found.collect())
}

fn column(part: &Part) -> Column {
    let codec = part.more.strip_prefix("CODEC(").and_then(|c| c.strip_suffix(')')).unwrap_or_default();
    // Earlier servers write the width that follows from the type.
    let codec = codec.replace("DoubleDelta(8)", "DoubleDelta");
    Column { name: part.name.clone(), kind: part.text.clone(), codec }
}

/// Engine and settings out of `engine_full`: `Engine(…) PARTITION BY … ORDER BY … SETTINGS a = 1, b = 'c'`.
fn engine(full: &str, name: &str) -> (String, Vec<(String, String)>) {
    let (head, settings) = full.split_once(" SETTINGS ").unwrap_or((full, ""));
    let ends = [" PARTITION BY ", " ORDER BY ", " PRIMARY KEY ", " TTL "];
    let end = ends.iter().filter_map(|word| head.find(word)).min().unwrap_or(head.len());
    let engine = head.get(..end).filter(|e| !e.is_empty()).unwrap_or(name);
    let settings = settings.split(", ").filter_map(|s| s.split_once(" = "));
    (engine.to_owned(), settings.map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_and_settings_are_told_apart() {
        let full = "ReplicatedMergeTree('/t/{shard}/e', '{replica}') PARTITION BY toYYYYMM(time) ORDER BY (a, b) \
                    SETTINGS fsync_after_insert = 1, index_granularity = 8192";
        let (engine, settings) = engine(full, "");
        assert_eq!(engine, "ReplicatedMergeTree('/t/{shard}/e', '{replica}')");
        assert_eq!(settings[0], ("fsync_after_insert".to_owned(), "1".to_owned()));
        assert_eq!(super::engine("", "View").0, "View");
    }
}
