//! The difference between what a server has and what it should have, and the statements that mend it.
//!
//! Nothing that holds rows is ever dropped or rewritten here: what only that could mend is said, and
//! left to a person.

use super::found::{self, Found};
use super::template::{self, Column, Table};
use super::{Layout, Wanted};
use clickhouse::Client;
use clickhouse::error::Result;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// Table, view or database.
    pub object: String,
    /// What differs, for a person.
    pub what: String,
    /// Statements that mend it, in order; none: only a person can.
    pub fix: Vec<String>,
}

/// Compares one server with `layout`. Errors: ClickHouse's.
pub async fn check(client: &Client, layout: &Layout) -> Result<Vec<Change>> {
    Ok(compare(layout, &found::read(client, layout).await?))
}

fn compare(layout: &Layout, found: &[Found]) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut missing_before = false;
    for wanted in layout.wanted() {
        match found.iter().find(|f| f.name == wanted.name) {
            Some(found) => Comparison { layout, wanted: &wanted, found }.run(&mut changes),
            None => {
                let mut fix = vec![wanted.create.clone()];
                if !missing_before {
                    fix.insert(0, layout.create_database());
                }
                missing_before = true;
                changes.push(Change { object: wanted.name.to_owned(), what: "is not there".to_owned(), fix });
            }
        }
    }
    changes
}

struct Comparison<'a> {
    layout: &'a Layout,
    wanted: &'a Wanted,
    found: &'a Found,
}

impl Comparison<'_> {
    fn run(&self, out: &mut Vec<Change>) {
        if let Some(table) = template::table(&self.wanted.create) {
            self.table(&table, out);
        } else if let Some(query) = template::view(&self.wanted.create) {
            if self.found.engine != "View" {
                out.push(self.by_hand(format!("is a {}, should be a view", self.found.engine)));
            } else if self.found.query != query.replace('`', "") {
                let create = self.wanted.create.replacen("CREATE VIEW IF NOT EXISTS", "CREATE OR REPLACE VIEW", 1);
                out.push(self.change(format!("asks `{}`", self.found.query), vec![create]));
            }
        } else {
            self.distributed(out);
        }
    }

    fn table(&self, wanted: &Table, out: &mut Vec<Change>) {
        for (what, is, should) in [
            ("engine", &self.found.engine, &wanted.engine),
            ("partition key", &self.found.partition_by, &wanted.partition_by),
            ("sorting key", &self.found.order_by, &wanted.order_by),
        ] {
            if is != should {
                out.push(self.by_hand(format!("{what} is {is}, should be {should}")));
            }
        }
        if self.found.forgets {
            let what = "has a TTL: rows that go by age are differences to reconcile".to_owned();
            out.push(self.change(what, vec![self.alter("REMOVE TTL")]));
        }
        self.columns(&wanted.columns, out);
        self.settings(&wanted.settings, out);
        self.parts("INDEX", &wanted.indices, &self.found.indices, out);
        self.parts("PROJECTION", &wanted.projections, &self.found.projections, out);
    }

    fn columns(&self, wanted: &[Column], out: &mut Vec<Change>) {
        for (i, column) in wanted.iter().enumerate() {
            let Column { name, kind, codec } = column;
            let codec_text = if codec.is_empty() { String::new() } else { format!(" CODEC({codec})") };
            let place = match i.checked_sub(1).and_then(|before| wanted.get(before)) {
                Some(before) => format!("AFTER `{}`", before.name),
                None => "FIRST".to_owned(),
            };
            match self.found.columns.iter().find(|f| f.name == *name) {
                None => {
                    let add = self.alter(&format!("ADD COLUMN IF NOT EXISTS `{name}` {kind}{codec_text} {place}"));
                    out.push(self.change(format!("column {name} is not there"), vec![add]));
                }
                Some(found) if found.kind != *kind => {
                    out.push(self.by_hand(format!("column {name} is {}, should be {kind}", found.kind)));
                }
                Some(found) if found.codec != *codec => {
                    let codec_text = if codec.is_empty() { " CODEC(Default)".to_owned() } else { codec_text };
                    let modify = self.alter(&format!("MODIFY COLUMN `{name}` {kind}{codec_text}"));
                    let is = if found.codec.is_empty() { "the default" } else { &found.codec };
                    out.push(self.change(format!("codec of column {name} is {is}, should be {codec}"), vec![modify]));
                }
                Some(_) => {}
            }
        }
        for found in &self.found.columns {
            if !wanted.iter().any(|w| w.name == found.name) {
                out.push(self.by_hand(format!("column {} is none of ours", found.name)));
            }
        }
    }

    fn settings(&self, wanted: &[(String, String)], out: &mut Vec<Change>) {
        for (name, should) in wanted {
            let is = self.found.settings.iter().find(|(n, _)| n == name).map_or("not set", |(_, value)| value);
            if is != should {
                let modify = self.alter(&format!("MODIFY SETTING {name} = {should}"));
                out.push(self.change(format!("setting {name} is {is}, should be {should}"), vec![modify]));
            }
        }
    }

    /// Indices and projections: made from the rows, so they may be dropped and made anew.
    fn parts(&self, word: &str, wanted: &[(String, String)], found: &[(String, String)], out: &mut Vec<Change>) {
        let shown = word.to_lowercase();
        for (name, definition) in wanted {
            let text = if word == "INDEX" { definition.clone() } else { format!("({definition})") };
            let add = [
                self.alter(&format!("ADD {word} IF NOT EXISTS {name} {text}")),
                self.alter(&format!("MATERIALIZE {word} {name}")),
            ];
            match found.iter().find(|(n, _)| n == name) {
                None => out.push(self.change(format!("{shown} {name} is not there"), add.to_vec())),
                Some((_, is)) if is != definition => {
                    let mut fix = vec![self.alter(&format!("DROP {word} {name}"))];
                    fix.extend(add);
                    out.push(self.change(format!("{shown} {name} is `{is}`, should be `{definition}`"), fix));
                }
                Some(_) => {}
            }
        }
    }

    fn distributed(&self, out: &mut Vec<Change>) {
        let should = self.wanted.create.split_once("ENGINE = ").map_or("", |(_, engine)| engine);
        let unquoted = |engine: &str| engine.replace(['\'', ' '], "");
        if unquoted(&self.found.engine) != unquoted(should) {
            out.push(self.by_hand(format!("engine is {}, should be {should}", self.found.engine)));
        }
        let rows = self.layout.wanted().into_iter().next().and_then(|w| template::table(&w.create));
        for column in rows.map(|table| table.columns).unwrap_or_default() {
            if !self.found.columns.iter().any(|f| f.name == column.name && f.kind == column.kind) {
                // It holds no rows: it may be made anew.
                let on_cluster = self.layout.on_cluster();
                let drop = format!("DROP TABLE {}.{}{on_cluster} SYNC", self.layout.quoted(), self.wanted.name);
                let what = format!("column {} is not that of the rows", column.name);
                out.push(self.change(what, vec![drop, self.wanted.create.clone()]));
                return;
            }
        }
    }

    fn alter(&self, what: &str) -> String {
        let (database, on_cluster) = (self.layout.quoted(), self.layout.on_cluster());
        format!("ALTER TABLE {database}.{}{on_cluster} {what}", self.wanted.name)
    }

    fn change(&self, what: String, fix: Vec<String>) -> Change {
        Change { object: self.wanted.name.to_owned(), what, fix }
    }

    fn by_hand(&self, what: String) -> Change {
        self.change(what, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock::settings::StatisticsSettings;

    #[test]
    fn an_empty_server_lacks_everything_on_a_cluster_too() {
        let settings = StatisticsSettings {
            shards: vec![vec!["http://a".to_owned()]],
            cluster: Some("main".to_owned()),
            ..StatisticsSettings::default()
        };
        let layout = Layout::of(&settings);
        let changes = compare(&layout, &[]);
        assert_eq!(changes.iter().map(|c| &*c.object).collect::<Vec<_>>(), ["events_local", "events", "stats_minute"]);
        assert_eq!(changes[0].fix[0], "CREATE DATABASE IF NOT EXISTS `penstock` ON CLUSTER `main`");
        assert!(changes.iter().all(|c| c.fix.iter().all(|sql| sql.contains("ON CLUSTER `main`"))));
        // A table over all shards that lacks a column is made anew; it holds no rows.
        let found = Found {
            name: "events".to_owned(),
            engine: "Distributed('main', 'penstock', 'events_local')".to_owned(),
            ..Found::default()
        };
        let changes = compare(&layout, &[found]);
        let remade = changes.iter().find(|c| c.object == "events").unwrap();
        assert_eq!(remade.fix[0], "DROP TABLE `penstock`.events ON CLUSTER `main` SYNC");
    }
}
