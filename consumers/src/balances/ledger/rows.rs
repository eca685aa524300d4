//! Many rows in one bound parameter: a JSON array of arrays that the database takes apart
//! (`json_each` in SQLite, `JSON_TABLE` in MariaDB).
//!
//! One statement a table instead of one an event, and the statement's text never changes, so it
//! is prepared once. Both databases read the integers back exactly (64 bits).

use std::fmt::Write;

/// Bytes of one parameter: every server takes a packet of so many (`max_allowed_packet`).
const PART_BYTES: usize = 1 << 20;

/// Rows in the making: `[[1,"click",5],[2,null,6]]`, in parts of a size that a statement takes.
#[derive(Default)]
pub(super) struct Rows {
    full: Vec<String>,
    text: String,
}

/// One value of a row.
pub(super) enum Cell<'a> {
    Int(i64),
    Text(&'a str),
    Null,
}

impl From<i64> for Cell<'_> {
    fn from(n: i64) -> Self {
        Cell::Int(n)
    }
}

impl From<u32> for Cell<'_> {
    fn from(n: u32) -> Self {
        Cell::Int(i64::from(n))
    }
}

impl From<Option<i64>> for Cell<'_> {
    fn from(n: Option<i64>) -> Self {
        n.map_or(Cell::Null, Cell::Int)
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Cell::Text(text)
    }
}

impl Rows {
    /// Adds a row.
    pub(super) fn push<const N: usize>(&mut self, cells: [Cell<'_>; N]) {
        if self.text.len() > PART_BYTES {
            self.text.push(']');
            self.full.push(std::mem::take(&mut self.text));
        }
        self.text.push_str(if self.text.is_empty() { "[[" } else { ",[" });
        for (i, cell) in cells.iter().enumerate() {
            if i > 0 {
                self.text.push(',');
            }
            match cell {
                // Writing to a String cannot fail.
                Cell::Int(n) => {
                    let _ = write!(self.text, "{n}");
                }
                Cell::Text(text) => quote(&mut self.text, text),
                Cell::Null => self.text.push_str("null"),
            }
        }
        self.text.push(']');
    }

    /// The parameters in the order of the rows, none when there is no row.
    pub(super) fn parts(mut self) -> Vec<String> {
        if !self.text.is_empty() {
            self.text.push(']');
            self.full.push(self.text);
        }
        self.full
    }
}

/// A flat JSON array of integers.
pub(super) fn ints(numbers: impl IntoIterator<Item = i64>) -> String {
    let mut text = String::from("[");
    for n in numbers {
        if text.len() > 1 {
            text.push(',');
        }
        let _ = write!(text, "{n}");
    }
    text.push(']');
    text
}

/// A flat JSON array of hexadecimal strings, for `unhex`.
pub(super) fn hexes<'a>(ids: impl IntoIterator<Item = &'a [u8; 16]>) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::from("[");
    for id in ids {
        text.push_str(if text.len() > 1 { ",\"" } else { "\"" });
        for byte in id {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        text.push('"');
    }
    text.push(']');
    text
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_json_that_a_library_reads() {
        let mut rows = Rows::default();
        rows.push([Cell::Int(i64::MIN), Cell::Text("a\"b\\c\n\u{1}é"), Cell::Null]);
        rows.push([Cell::Int(i64::MAX), Cell::Text(""), Cell::Int(0)]);
        let read: serde_json::Value = serde_json::from_str(&rows.parts()[0]).unwrap();
        let expected = serde_json::json!([[i64::MIN, "a\"b\\c\n\u{1}é", null], [i64::MAX, "", 0]]);
        assert_eq!(read, expected);
        assert!(Rows::default().parts().is_empty());
        assert_eq!(hexes([&[0xAB; 16]]), format!("[\"{}\"]", "AB".repeat(16)));
        assert_eq!(ints([1, -2]), "[1,-2]");
    }

    #[test]
    fn many_rows_come_in_parts_of_a_bounded_size() {
        let mut rows = Rows::default();
        let text = "x".repeat(1_000);
        (0..5_000).for_each(|n| rows.push([Cell::Int(n), Cell::Text(&text)]));
        let parts = rows.parts();
        assert!(parts.len() > 1 && parts.iter().all(|part| part.len() <= PART_BYTES + 2_000));
        let read: Vec<(i64, String)> = parts.iter().flat_map(|p| serde_json::from_str::<Vec<_>>(p).unwrap()).collect();
        assert!(read.iter().map(|(n, _)| *n).eq(0..5_000));
    }
}
