//! As much of SQL's lexis as the HTTP protocol needs: where an INSERT's text ends and its data
//! begins, which FORMAT a query names, and words that are refused before the engine sees them.
//!
//! This never decides what a statement *does*: that is asked of the engine's own parser
//! ([`crate::chdb::Connection::classify`]).

/// What the first statement of a request looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// The text may still go on: more bytes are needed to tell.
    Incomplete,
    /// Any statement but an INSERT with data; the whole text is SQL.
    Query,
    /// An INSERT whose data follows.
    Insert {
        /// Length of the statement without FORMAT or VALUES.
        statement: usize,
        /// Its input format.
        format: String,
        /// Where the data begins.
        data: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    /// A back-quoted or double-quoted identifier.
    Quoted,
    Text,
    Number,
    Sign,
    /// A literal or comment that the text's end cuts.
    Open,
}

#[derive(Clone, Copy, Debug)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
}

impl Token {
    fn of<'a>(&self, sql: &'a [u8]) -> &'a [u8] {
        sql.get(self.start..self.end).unwrap_or_default()
    }

    fn is(&self, sql: &[u8], word: &str) -> bool {
        self.kind == Kind::Word && self.of(sql).eq_ignore_ascii_case(word.as_bytes())
    }

    fn is_sign(&self, sql: &[u8], sign: u8) -> bool {
        self.kind == Kind::Sign && self.of(sql) == [sign]
    }
}

struct Tokens<'a> {
    sql: &'a [u8],
    at: usize,
}

impl Tokens<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.sql.get(at).copied().unwrap_or(0)
    }

    /// Runs to behind the closing quote; `None` when the text ends first.
    fn quoted(&self, quote: u8) -> Option<usize> {
        let mut at = self.at + 1;
        while at < self.sql.len() {
            match self.byte(at) {
                b'\\' => at += 2,
                b if b == quote && self.byte(at + 1) == quote => at += 2,
                b if b == quote => return Some(at + 1),
                _ => at += 1,
            }
        }
        None
    }

    /// `$tag$ … $tag$`, ClickHouse's heredoc; `None` when this `$` opens none.
    fn heredoc(&self) -> Option<Option<usize>> {
        let rest = self.sql.get(self.at + 1..)?;
        let tag = rest.iter().position(|&b| b == b'$')?;
        let is_tag = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        if !rest.get(..tag)?.iter().all(is_tag) {
            return None;
        }
        let mark = self.sql.get(self.at..self.at + tag + 2)?;
        let body = self.at + mark.len();
        let found = memchr::memmem::find(self.sql.get(body..)?, mark);
        Some(found.map(|f| body + f + mark.len()))
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let len = self.sql.len();
        loop {
            let b = *self.sql.get(self.at)?;
            let start = self.at;
            let line_comment =
                b == b'#' && matches!(self.byte(start + 1), b' ' | b'!') || b == b'-' && self.byte(start + 1) == b'-';
            if b.is_ascii_whitespace() || b == 0x0b {
                self.at += 1;
            } else if line_comment {
                self.at = self.sql[start..].iter().position(|&b| b == b'\n').map_or(len, |n| start + n + 1);
            } else if b == b'/' && self.byte(start + 1) == b'*' {
                // Nested comments are ClickHouse's; a cut one ends the text.
                let (mut depth, mut at) = (1, start + 2);
                while depth > 0 && at < len {
                    match (self.byte(at), self.byte(at + 1)) {
                        (b'/', b'*') => (depth, at) = (depth + 1, at + 2),
                        (b'*', b'/') => (depth, at) = (depth - 1, at + 2),
                        _ => at += 1,
                    }
                }
                self.at = at;
                if depth > 0 {
                    return Some(Token { kind: Kind::Open, start, end: len });
                }
            } else {
                let (kind, end) = match b {
                    b'\'' => (Kind::Text, self.quoted(b)),
                    b'`' | b'"' => (Kind::Quoted, self.quoted(b)),
                    b'$' if self.heredoc().is_some() => (Kind::Text, self.heredoc().flatten()),
                    b'0'..=b'9' => (Kind::Number, Some(self.run(start))),
                    b if b.is_ascii_alphabetic() || b == b'_' || b >= 0x80 => (Kind::Word, Some(self.run(start))),
                    _ => (Kind::Sign, Some(start + 1)),
                };
                self.at = end.unwrap_or(len);
                let kind = if end.is_some() { kind } else { Kind::Open };
                return Some(Token { kind, start, end: self.at });
            }
        }
    }
}

impl Tokens<'_> {
    fn run(&self, start: usize) -> usize {
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$') || *b >= 0x80;
        self.sql[start..].iter().position(|b| !is_word(b)).map_or(self.sql.len(), |n| start + n)
    }
}

fn tokens(sql: &[u8]) -> Tokens<'_> {
    Tokens { sql, at: 0 }
}

/// Finds out what `sql` begins with. `whole` says that no more bytes will come.
#[must_use]
pub fn head(sql: &[u8], whole: bool) -> Head {
    let mut depth = 0_usize;
    let mut previous: Option<Token> = None;
    let mut first = true;
    for token in tokens(sql) {
        // A word at the very end may go on in the next bytes, an open literal certainly does.
        if !whole && (token.kind == Kind::Open || token.end == sql.len()) {
            return Head::Incomplete;
        }
        if first {
            if !token.is(sql, "INSERT") {
                return Head::Query;
            }
            first = false;
        }
        match () {
            () if token.is_sign(sql, b'(') => depth += 1,
            () if token.is_sign(sql, b')') => depth = depth.saturating_sub(1),
            () if depth > 0 => {}
            () if token.is(sql, "SELECT") || token.is(sql, "WITH") || token.is(sql, "WATCH") => return Head::Query,
            () if token.is(sql, "VALUES") => {
                return Head::Insert { statement: token.start, format: "Values".to_owned(), data: token.end };
            }
            () => {
                if let Some(format) = previous.filter(|p| p.is(sql, "FORMAT"))
                    && token.kind == Kind::Word
                {
                    let name = String::from_utf8_lossy(token.of(sql)).into_owned();
                    let data = data_start(sql, token.end);
                    if !whole && data >= sql.len() {
                        return Head::Incomplete;
                    }
                    return if name.eq_ignore_ascii_case("values") {
                        Head::Insert { statement: format.start, format: "Values".to_owned(), data }
                    } else {
                        Head::Insert { statement: format.start, format: name, data }
                    };
                }
            }
        }
        previous = Some(token);
    }
    if whole { Head::Query } else { Head::Incomplete }
}

/// Data begins behind blanks and one line break after the format's name, as in ClickHouse.
fn data_start(sql: &[u8], mut at: usize) -> usize {
    while matches!(sql.get(at), Some(b' ' | b'\t' | 0x0c)) {
        at += 1;
    }
    if sql.get(at) == Some(&b'\r') {
        at += 1;
    }
    if sql.get(at) == Some(&b'\n') {
        at += 1;
    }
    at
}

/// The output format that a query names last (`… FORMAT JSON`), if it does.
#[must_use]
pub fn output_format(sql: &[u8]) -> Option<String> {
    let mut found = None;
    let mut previous: Option<Token> = None;
    let mut depth = 0_usize;
    for token in tokens(sql) {
        if token.is_sign(sql, b'(') {
            depth += 1;
        } else if token.is_sign(sql, b')') {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && token.kind == Kind::Word && previous.is_some_and(|p| p.is(sql, "FORMAT")) {
            found = Some(String::from_utf8_lossy(token.of(sql)).into_owned());
        }
        previous = Some(token);
    }
    found
}

/// Words that no statement here may hold, whoever asks.
///
/// The engine runs as an embedded one, in which the function `file()` reads any file of the
/// machine whatever its user is granted, and INTO OUTFILE / FROM INFILE go past its rights
/// altogether. Table functions and engines that read files or the network lack their grant.
#[must_use]
pub fn forbidden(sql: &[u8]) -> Option<&'static str> {
    for token in tokens(sql) {
        let text = token.of(sql);
        match token.kind {
            Kind::Word if text.eq_ignore_ascii_case(b"outfile") => return Some("INTO OUTFILE"),
            Kind::Word if text.eq_ignore_ascii_case(b"infile") => return Some("FROM INFILE"),
            Kind::Word if text.eq_ignore_ascii_case(b"file") => return Some("file"),
            Kind::Quoted if text.contains(&b'\\') => return Some("an escape in a quoted name"),
            Kind::Quoted
                if text.get(1..text.len().saturating_sub(1)).unwrap_or_default().eq_ignore_ascii_case(b"file") =>
            {
                return Some("file");
            }
            _ => {}
        }
    }
    None
}

/// Whether anything but blanks and comments follows a `;`.
#[must_use]
pub fn several(sql: &[u8]) -> bool {
    let mut ended = false;
    for token in tokens(sql) {
        if token.is_sign(sql, b';') {
            ended = true;
        } else if ended {
            return true;
        }
    }
    false
}

/// `text` as an SQL string literal.
#[must_use]
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            '\0' => out.push_str("\\0"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// `name` as a quoted SQL identifier.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// Whether `name` can be a setting or a parameter: a word of letters, digits and `_`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(sql: &str) -> (String, String, String) {
        match head(sql.as_bytes(), true) {
            Head::Insert { statement, format, data } => {
                (sql[..statement].trim().to_owned(), format, sql[data..].to_owned())
            }
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn data_begins_behind_the_format_and_one_line_break() {
        assert_eq!(insert("INSERT INTO t FORMAT CSV\n1;2\n").2, "1;2\n");
        assert_eq!(insert("insert into t (a, `format`) format  TSV \r\n\n3").2, "\n3");
        assert_eq!(
            insert("INSERT INTO t SETTINGS a='FORMAT X' FORMAT RowBinary\n").0,
            "INSERT INTO t SETTINGS a='FORMAT X'"
        );
        assert_eq!(insert("-- FORMAT A\n/* FORMAT /* B */ */ INSERT INTO t VALUES (1)").1, "Values");
        assert_eq!(insert("INSERT INTO t VALUES (1)").2, " (1)");
    }

    #[test]
    fn an_insert_that_may_go_on_is_incomplete() {
        for sql in [
            "",
            "INSERT",
            "INSERT INTO t FORM",
            "INSERT INTO t FORMAT CS",
            "INSERT INTO t FORMAT CSV",
            "/* x",
            "INSERT INTO `t",
        ] {
            assert_eq!(head(sql.as_bytes(), false), Head::Incomplete, "{sql}");
        }
        assert_eq!(head(b"SELECT 1 ", false), Head::Query);
        assert_eq!(head(b"INSERT INTO t (a) SELECT 1 ", false), Head::Query);
    }

    #[test]
    fn the_last_format_at_top_level_counts() {
        assert_eq!(output_format(b"SELECT 'FORMAT CSV' FORMAT JSON").as_deref(), Some("JSON"));
        assert_eq!(output_format(b"SELECT format(1) -- FORMAT X"), None);
        assert_eq!(output_format(b"SELECT 1 FORMAT JSON SETTINGS x=1;").as_deref(), Some("JSON"));
    }

    #[test]
    fn reading_the_machines_files_is_refused_in_every_spelling() {
        for sql in [
            "SELECT file('/etc/passwd')",
            "SELECT `file`('x')",
            "SELECT \"file\" ('x')",
            "SELECT `fi\\x6ce`('x')",
            "SELECT * APPLY(file) FROM t",
            "SELECT 1 INTO OUTFILE 'x'",
            "INSERT INTO t FROM INFILE 'x'",
            "SELECT/**/file/**/('x')",
        ] {
            assert!(forbidden(sql.as_bytes()).is_some(), "{sql}");
        }
        assert_eq!(forbidden(b"SELECT 'file', profile, \"a\"\"b\" -- file"), None);
    }

    #[test]
    fn literals_and_identifiers_cannot_be_broken_out_of() {
        assert_eq!(literal("a'b\\"), "'a\\'b\\\\'");
        assert_eq!(identifier("a`b"), "`a\\`b`");
    }
}
