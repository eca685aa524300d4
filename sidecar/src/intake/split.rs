//! Cuts a body into its events without building values and without recursion.
//!
//! Only the body's own structure is judged here: brackets, braces, strings and the commas between
//! the elements of an array. If that is broken the whole request is refused, since nobody can
//! say where one event ends. What stands between an event's own braces is that event's matter:
//! a NaN, bytes that are not UTF-8 or nesting a hundred thousand deep reject one event and leave
//! the good ones beside it alone.
//!
//! A stray quote can turn strings inside out for the rest of an array. Two signs give that away,
//! and refuse the whole: a line break inside a string, and a backslash outside of one.

use penstock::event::plain_run;

/// How the body holds its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object, or an array of them.
    Json,
    /// One object a line.
    Ndjson,
}

/// One event's raw bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The JSON text, without surrounding white space.
    pub raw: &'a [u8],
    /// Where it begins in the body.
    pub at: usize,
    /// Line from 1, counting empty ones; NDJSON only.
    pub line: Option<u32>,
}

/// The body's structure is broken at `at`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    /// Offset in the (decompressed) body.
    pub at: usize,
    /// What was found or missing.
    pub what: &'static str,
}

/// The events of a body, in order. Ends after the first error.
#[derive(Debug)]
pub struct Events<'a> {
    body: &'a [u8],
    at: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    /// Behind `[` or an element; `true` when a comma or the first element may come.
    Array {
        first: bool,
    },
    Lines {
        line: u32,
    },
    Done,
}

/// Cuts `body` into events. A UTF-8 byte order mark in front is skipped.
#[must_use]
pub fn split(body: &[u8], format: Format) -> Events<'_> {
    let at = if body.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let state = match format {
        Format::Json => State::Start,
        Format::Ndjson => State::Lines { line: 0 },
    };
    Events { body, at, state }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<Element<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.state {
            State::Done => None,
            State::Start => self.start(),
            State::Array { first } => self.element(first),
            State::Lines { line } => self.line(line).map(Ok),
        };
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Done;
        }
        next
    }
}

impl<'a> Events<'a> {
    fn start(&mut self) -> Option<Result<Element<'a>, Malformed>> {
        self.skip_space();
        match self.body.get(self.at) {
            None => None,
            Some(b'[') => {
                self.at += 1;
                self.state = State::Array { first: true };
                self.element(true)
            }
            Some(b'{') => {
                let from = self.at;
                let raw = match self.value() {
                    Ok(()) => &self.body[from..self.at],
                    Err(e) => return Some(Err(e)),
                };
                self.state = State::Done;
                self.skip_space();
                if self.at < self.body.len() {
                    let what = "more than one JSON text (send an array, or lines as application/x-ndjson)";
                    return Some(self.malformed(what));
                }
                self.at = self.body.len();
                Some(Ok(Element { raw, at: from, line: None }))
            }
            Some(_) => Some(self.malformed("expected an object or an array of objects")),
        }
    }

    fn element(&mut self, first: bool) -> Option<Result<Element<'a>, Malformed>> {
        self.skip_space();
        match (self.body.get(self.at), first) {
            (None, _) => return Some(self.malformed("the array ends early")),
            (Some(b']'), _) => {
                self.at += 1;
                self.skip_space();
                return (self.at < self.body.len()).then(|| self.malformed("more after the array"));
            }
            (Some(b','), false) => {
                self.at += 1;
                self.skip_space();
            }
            (Some(_), false) => return Some(self.malformed("expected a comma between events")),
            (Some(_), true) => {}
        }
        let from = self.at;
        if let Err(e) = self.value() {
            return Some(Err(e));
        }
        self.state = State::Array { first: false };
        Some(Ok(Element { raw: &self.body[from..self.at], at: from, line: None }))
    }

    fn line(&mut self, mut line: u32) -> Option<Element<'a>> {
        while self.at < self.body.len() {
            let rest = &self.body[self.at..];
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line_text = rest[..end].trim_ascii_start();
            let at = self.at + end - line_text.len();
            let raw = line_text.trim_ascii_end();
            self.at += (end + 1).min(rest.len());
            line = line.saturating_add(1);
            if !raw.is_empty() {
                self.state = State::Lines { line };
                return Some(Element { raw, at, line: Some(line) });
            }
        }
        None
    }

    /// Moves behind the value that starts here.
    fn value(&mut self) -> Result<(), Malformed> {
        match self.body.get(self.at) {
            Some(b'{' | b'[') => self.composite(),
            Some(b'"') => self.string(),
            Some(_) => self.scalar(),
            None => Err(Malformed { at: self.at, what: "expected an event" }),
        }
    }

    /// Moves behind the object or array that starts here. Bracket kinds are matched through the
    /// first 128 levels; deeper ones are only counted, such an event is refused anyway.
    fn composite(&mut self) -> Result<(), Malformed> {
        let (mut depth, mut objects) = (0_usize, 0_u128);
        loop {
            let rest = &self.body[self.at..];
            let Some(inert) = rest.iter().position(|&b| OUTSIDE[usize::from(b)] != 0) else {
                return Err(Malformed { at: self.body.len(), what: "the JSON text ends early" });
            };
            self.at += inert;
            match self.body[self.at] {
                b'"' => {
                    self.string()?;
                    continue;
                }
                open @ (b'{' | b'[') => {
                    if depth < 128 {
                        objects = (objects & !(1 << depth)) | (u128::from(open == b'{') << depth);
                    }
                    depth += 1;
                }
                b'\\' => return Err(Malformed { at: self.at, what: "a backslash outside of a string" }),
                close => {
                    depth -= 1;
                    if depth < 128 && (objects >> depth & 1 == 1) != (close == b'}') {
                        return Err(Malformed { at: self.at, what: "a bracket that closes another kind" });
                    }
                }
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Moves behind the string that starts here.
    fn string(&mut self) -> Result<(), Malformed> {
        let from = self.at;
        self.at += 1;
        loop {
            self.at += plain_run(self.body.get(self.at..).unwrap_or_default());
            match self.body.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.at += 2,
                Some(b'\n' | b'\r') => return Err(Malformed { at: self.at, what: "a line break inside a string" }),
                // Another control character, which is the event's own matter.
                Some(_) => self.at += 1,
                None => return Err(Malformed { at: from, what: "a string that does not end" }),
            }
        }
    }

    /// Moves behind a number, `true`, `false` or `null`; such an event is refused alone.
    fn scalar(&mut self) -> Result<(), Malformed> {
        let rest = &self.body[self.at..];
        let end = rest.iter().position(|b| matches!(b, b',' | b']' | b' ' | b'\t' | b'\r' | b'\n'));
        let token = &rest[..end.unwrap_or(rest.len())];
        if serde_json::from_slice::<serde::de::IgnoredAny>(token).is_err() {
            return Err(Malformed { at: self.at, what: "not JSON" });
        }
        self.at += token.len();
        Ok(())
    }

    fn skip_space(&mut self) {
        let rest = &self.body[self.at..];
        let space = rest.iter().position(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
        self.at += space.unwrap_or(rest.len());
    }

    fn malformed<T>(&self, what: &'static str) -> Result<T, Malformed> {
        Err(Malformed { at: self.at, what })
    }
}

/// Bytes that mean something outside of strings.
const OUTSIDE: [u8; 256] = table(b"\"{}[]\\");

const fn table(marks: &[u8]) -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < marks.len() {
        table[marks[i] as usize] = 1;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(body: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
        split(body, Format::Json).map(|e| e.map(|e| e.raw)).collect()
    }

    #[test]
    fn an_object_an_array_and_nothing() {
        assert_eq!(json(b" {\"a\":[1,{}]} \n"), Ok(vec![&b"{\"a\":[1,{}]}"[..]]));
        assert_eq!(json(b"[ {\"a\":\"]\\\"}\"} ,\n{} , 3,\"x\"]"), {
            let all: Vec<&[u8]> = vec![b"{\"a\":\"]\\\"}\"}", b"{}", b"3", b"\"x\""];
            Ok(all)
        });
        assert_eq!(json(b"[]"), Ok(vec![]));
        assert_eq!(json(b"  "), Ok(vec![]));
        assert_eq!(json(b"\xEF\xBB\xBF[{}]"), Ok(vec![&b"{}"[..]]));
    }

    #[test]
    fn a_broken_structure_refuses_the_whole() {
        let broken: &[&[u8]] = &[
            b"[",
            b"[{}",
            b"[{},",
            b"[{},]",
            b"[,{}]",
            b"[{}{}]",
            b"[{},,{}]",
            b"[{}]x",
            b"{}{}",
            b"{",
            b"{\"a",
            b"[{]}",
            b"[{\"a\":[}]",
            b"nope",
            b"[nope]",
            b"[NaN]",
            b"3",
            b"\"a\"",
            b"{\"a\":\"\\",
            b"[{\"a\":\"x\n\"}]",
            b"{\\}",
            b"[1 2]",
        ];
        for body in broken {
            assert!(json(body).is_err(), "{:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn what_stands_between_braces_is_the_events_own_matter() {
        assert_eq!(json(b"[{\"a\":NaN},{\"b\":\"\xff\"},{}]").map(|e| e.len()), Ok(3));
    }

    #[test]
    fn depth_is_counted_without_recursion() {
        let mut body = b"[".to_vec();
        body.extend(std::iter::repeat_n(b'[', 1_000_000));
        body.extend(std::iter::repeat_n(b']', 1_000_000));
        body.extend(b",{}]");
        assert_eq!(json(&body).map(|e| e.len()), Ok(2));
    }

    #[test]
    fn empty_lines_are_skipped_and_lines_are_numbered() {
        let lines: Vec<_> = split(b"\n{}\r\n\n [1]\t\n{", Format::Ndjson).map(|e| e.map(|e| (e.raw, e.line))).collect();
        let expected: [(&[u8], _); 3] = [(b"{}", Some(2)), (b"[1]", Some(4)), (b"{", Some(5))];
        assert_eq!(lines, expected.map(Ok));
    }

    proptest! {
        /// The oracle is serde_json: whatever it takes as an array comes out element by element.
        #[test]
        fn every_array_that_serde_json_takes_is_cut_as_it_cuts(
            values in proptest::collection::vec(value(), 0..8), pretty in any::<bool>(),
        ) {
            let body = if pretty { serde_json::to_vec_pretty(&values)? } else { serde_json::to_vec(&values)? };
            let cut = json(&body).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let back: Vec<serde_json::Value> = cut.iter().map(|raw| serde_json::from_slice(raw)).collect::<Result<_, _>>()?;
            prop_assert_eq!(back, values);
        }

        #[test]
        fn garbage_neither_panics_nor_loops(body in proptest::collection::vec(any::<u8>(), 0..200), lines in any::<bool>()) {
            let format = if lines { Format::Ndjson } else { Format::Json };
            prop_assert!(split(&body, format).count() <= body.len() + 1);
        }

        #[test]
        fn structural_garbage_neither_panics_nor_loops(body in "[\\[\\]{},\":\\\\a1 \n]{0,60}") {
            prop_assert!(split(body.as_bytes(), Format::Json).count() <= body.len() + 1);
        }
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                proptest::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }
}
