//! What a filled-in template asks for, part by part, so that it can be compared with what is there.
//!
//! The templates are ours, so this reads their form and no other: one column, index or projection
//! beginning on a line of its own, indented by four; a test holds that nothing is left over.

/// A table as a statement makes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub columns: Vec<Column>,
    /// Name and definition (`expression TYPE … GRANULARITY n`).
    pub indices: Vec<(String, String)>,
    /// Name and query.
    pub projections: Vec<(String, String)>,
    pub engine: String,
    pub partition_by: String,
    pub order_by: String,
    pub settings: Vec<(String, String)>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    pub kind: String,
    /// Codec without `CODEC()`; empty: the table's own.
    pub codec: String,
}

/// Takes a `CREATE TABLE` apart; `None` when it has no list of columns.
pub(super) fn table(create: &str) -> Option<Table> {
    let (_, rest) = create.split_once("\n(\n")?;
    let (body, tail) = rest.split_once("\n)\n")?;
    let mut table = Table::default();
    for item in items(body) {
        let item = item.trim().trim_end_matches(',');
        let (first, rest) = item.split_once(' ')?;
        match first {
            "INDEX" => table.indices.push(named(rest)?),
            "PROJECTION" => {
                let (name, query) = rest.split_once('\n')?;
                let query = query.trim().strip_prefix('(')?.strip_suffix(')')?;
                table.projections.push((name.to_owned(), one_line(query)));
            }
            name => table.columns.push(column(name, rest)),
        }
    }
    let (head, settings) = tail.split_once("\nSETTINGS\n")?;
    for line in head.lines() {
        match line.split_once(' ')? {
            ("ENGINE", rest) => table.engine = rest.trim_start_matches("= ").to_owned(),
            ("PARTITION", rest) => table.partition_by = rest.trim_start_matches("BY ").to_owned(),
            ("ORDER", rest) => table.order_by = rest.trim_start_matches("BY ").trim_matches(['(', ')']).to_owned(),
            _ => return None,
        }
    }
    for setting in settings.lines() {
        let (name, value) = setting.trim().trim_end_matches(',').split_once(" = ")?;
        table.settings.push((name.to_owned(), value.to_owned()));
    }
    Some(table)
}

/// Lines that are indented by four begin an item, deeper ones go on with it; so does a bracket.
fn items(body: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for line in body.lines() {
        let begins = line.starts_with("    ") && !line[4..].starts_with([' ', '(', ')']);
        match items.last_mut() {
            Some(item) if !begins => {
                item.push('\n');
                item.push_str(line);
            }
            _ => items.push(line.to_owned()),
        }
    }
    items
}

fn named(text: &str) -> Option<(String, String)> {
    text.split_once(' ').map(|(name, rest)| (name.to_owned(), rest.to_owned()))
}

fn column(name: &str, rest: &str) -> Column {
    let (kind, codec) = match rest.split_once(" CODEC(") {
        Some((kind, codec)) => (kind, codec.strip_suffix(')').unwrap_or(codec)),
        None => (rest, ""),
    };
    Column { name: name.to_owned(), kind: kind.to_owned(), codec: codec.to_owned() }
}

/// The query of a view's statement, in one line.
pub(super) fn view(create: &str) -> Option<String> {
    create.split_once(" AS\n").map(|(_, query)| one_line(query))
}

/// Every run of white space is one space, none beside brackets.
pub(super) fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace("( ", "(").replace(" )", ")")
}

#[cfg(test)]
mod tests {
    use super::super::Layout;
    use super::*;
    use crate::statistics::batch::{Columns, TABLE};
    use arrow::datatypes::DataType;
    use penstock::settings::StatisticsSettings;

    #[test]
    fn the_template_is_read_whole() {
        let wanted = Layout::of(&StatisticsSettings::default()).wanted();
        let events = table(&wanted[0].create).unwrap();
        assert_eq!(events.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), TABLE);
        let time = Column {
            name: "time".to_owned(),
            kind: "DateTime64(6, 'UTC')".to_owned(),
            codec: "DoubleDelta, ZSTD(1)".to_owned(),
        };
        assert_eq!(events.columns[2], time);
        let index = ("log_at", "(log_topic, log_partition, log_offset) TYPE minmax GRANULARITY 1");
        assert_eq!(events.indices, [(index.0.to_owned(), index.1.to_owned())]);
        assert_eq!(events.projections.len(), 1);
        assert!(events.projections[0].1.starts_with("SELECT toStartOfMinute(time), campaign_id"), "{events:?}");
        assert_eq!((&*events.engine, &*events.partition_by), ("MergeTree", "toYYYYMM(time)"));
        assert_eq!(events.order_by, "campaign_id, type, time");
        assert_eq!(events.settings.len(), 4);
        assert!(view(&wanted[1].create).unwrap().starts_with("SELECT toStartOfMinute(time) AS minute"));
    }

    #[test]
    fn what_is_sent_has_the_shapes_of_the_tables_columns() {
        let events = table(&Layout::of(&StatisticsSettings::default()).wanted()[0].create).unwrap();
        let columns = Columns::new().unwrap();
        for (column, field) in events.columns.iter().zip(columns.schema().fields()) {
            let symbols = matches!(field.data_type(), DataType::Dictionary(..));
            assert_eq!(symbols, column.kind.starts_with("LowCardinality("), "{column:?}");
            assert_eq!(field.is_nullable(), column.kind.starts_with("Nullable("), "{column:?}");
        }
    }
}
