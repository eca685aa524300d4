//! The same schema for one server and for a sharded, replicated cluster: one template, filled in.

use penstock::settings::StatisticsSettings;

const EVENTS: &str = include_str!("../../../../schemas/clickhouse/0001_events.sql");
const STATS_MINUTE: &str = include_str!("../../../../schemas/clickhouse/0002_stats_minute.sql");
const DISTRIBUTED: &str = include_str!("../../../../schemas/clickhouse/distributed.sql");

/// Where the tables lie, and under which names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The database; the settings have checked its name.
    pub database: String,
    /// How many inserts a table remembers by their tokens.
    pub window: u64,
    /// For how long it does so at least, in seconds; replicated tables forget by time, too.
    pub window_seconds: u64,
    /// `None`: one server.
    pub cluster: Option<Cluster>,
}

/// A sharded, replicated ClickHouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its name in `remote_servers`.
    pub name: String,
    /// Where replicas meet in Keeper, ending in `/`.
    pub keeper_path: String,
}

/// One object of the database: its name, and the statement that makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Name without the database.
    pub name: &'static str,
    /// `CREATE … IF NOT EXISTS …`, without comments.
    pub create: String,
}

impl Layout {
    /// As the settings have it.
    #[must_use]
    pub fn of(settings: &StatisticsSettings) -> Layout {
        let cluster = settings.cluster.clone();
        Layout {
            database: settings.database.clone(),
            window: settings.deduplication_window(),
            // ClickHouse's own default is an hour, in earlier versions a week.
            window_seconds: settings.longest_outage.as_secs().max(7 * 86_400),
            cluster: cluster.map(|name| Cluster { name, keeper_path: settings.keeper_path.clone() }),
        }
    }

    /// The table that holds this server's rows: what is written to, and counted after a crash.
    #[must_use]
    pub const fn rows_table(&self) -> &'static str {
        if self.cluster.is_some() { "events_local" } else { "events" }
    }

    /// The statement that makes the database.
    #[must_use]
    pub fn create_database(&self) -> String {
        format!("CREATE DATABASE IF NOT EXISTS {}{}", self.quoted(), self.on_cluster())
    }

    /// Everything that must be there, in the order in which it is made.
    #[must_use]
    pub fn wanted(&self) -> Vec<Wanted> {
        let mut wanted = vec![Wanted { name: self.rows_table(), create: self.fill(EVENTS) }];
        if self.cluster.is_some() {
            wanted.push(Wanted { name: "events", create: self.fill(DISTRIBUTED) });
        }
        wanted.push(Wanted { name: "stats_minute", create: self.fill(STATS_MINUTE) });
        wanted
    }

    /// ` ON CLUSTER …`, or nothing.
    pub(super) fn on_cluster(&self) -> String {
        self.cluster.as_ref().map(|c| format!(" ON CLUSTER `{}`", c.name)).unwrap_or_default()
    }

    pub(super) fn quoted(&self) -> String {
        format!("`{}`", self.database)
    }

    pub(super) fn engine(&self) -> String {
        match &self.cluster {
            None => "MergeTree".to_owned(),
            Some(c) => {
                let path = format!("{}{}/{}", c.keeper_path, self.database, self.rows_table());
                format!("ReplicatedMergeTree('{path}', '{{replica}}')")
            }
        }
    }

    fn deduplication(&self) -> String {
        let Layout { window, window_seconds, cluster, .. } = self;
        match cluster {
            None => format!("non_replicated_deduplication_window = {window}"),
            Some(_) => format!(
                "replicated_deduplication_window = {window},\n    \
                 replicated_deduplication_window_seconds = {window_seconds}"
            ),
        }
    }

    fn fill(&self, template: &str) -> String {
        let name = self.cluster.as_ref().map_or("", |c| &c.name);
        let text: Vec<&str> = template.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
        // The engine comes last: its path has braces of its own, which are the servers' macros.
        text.join("\n")
            .trim_end_matches([';', '\n'])
            .replace("{database_text}", &format!("'{}'", self.database))
            .replace("{database}", &self.quoted())
            .replace("{events}", self.rows_table())
            .replace("{on_cluster}", &self.on_cluster())
            .replace("{cluster}", &format!("'{name}'"))
            .replace("{deduplication}", &self.deduplication())
            .replace("{engine}", &self.engine())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn cluster() -> StatisticsSettings {
        StatisticsSettings {
            shards: vec![vec!["http://a".to_owned()]],
            cluster: Some("main".to_owned()),
            longest_outage: Duration::from_secs(2 * 3600),
            ..StatisticsSettings::default()
        }
    }

    #[test]
    fn one_server_gets_what_it_always_got() {
        let wanted = Layout::of(&StatisticsSettings::default()).wanted();
        assert_eq!(wanted.iter().map(|w| w.name).collect::<Vec<_>>(), ["events", "stats_minute"]);
        let events = &wanted[0].create;
        assert!(events.starts_with("CREATE TABLE IF NOT EXISTS `penstock`.events\n("), "{events}");
        assert!(
            events.contains("ENGINE = MergeTree\n") && !events.contains("replicated_dedup")
                || events.contains("non_replicated_deduplication_window = 10000")
        );
        assert!(!events.contains('{') && !events.contains("ON CLUSTER"), "{events}");
    }

    #[test]
    fn a_cluster_gets_replicas_a_table_over_all_shards_and_windows_for_the_outage() {
        let wanted = Layout::of(&cluster()).wanted();
        assert_eq!(wanted.iter().map(|w| w.name).collect::<Vec<_>>(), ["events_local", "events", "stats_minute"]);
        let rows = &wanted[0].create;
        assert!(rows.contains("`penstock`.events_local ON CLUSTER `main`"), "{rows}");
        assert!(
            rows.contains("ReplicatedMergeTree('/clickhouse/tables/{shard}/penstock/events_local', '{replica}')"),
            "{rows}"
        );
        assert!(rows.contains("    replicated_deduplication_window = 72000,"), "{rows}");
        assert!(wanted[1].create.contains("Distributed('main', 'penstock', 'events_local')"), "{}", wanted[1].create);
        assert!(wanted[2].create.contains("FROM `penstock`.events\n"), "{}", wanted[2].create);
    }
}
