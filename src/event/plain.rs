//! The usual event, parsed in one pass: known structure, no escapes, no fractions, nothing nested.
//!
//! Programs write events, and nearly all of them look like this. What does not is given up without a
//! word, and [`parse`](super::parse) reads the event from its beginning: serde_json decides what is
//! JSON and what a rejection says. So this parser has one promise to keep, and a test holds it to it:
//! what it takes, that one takes too, with the same values. The rules of fields are the same code.
//!
//! What lies between a value's first byte and its place in the payload is inlined by force: a value that is handed
//! on through memory is waited for there, a seventh of what an event cost.

use super::check::Scalar;
use super::envelope::{Envelope, WRITTEN};
use super::kind::TypeInfo;
use super::payload::Payload;
use super::run::plain_run;
use super::text::Text;
use super::written::{self, WrittenKey};

/// Takes a whole event. `None`: it is not a plain one, and `envelope` holds parts of it.
pub(super) fn event<'a>(text: &'a str, envelope: &mut Envelope<'a>) -> Option<()> {
    let mut reader = Reader { text, at: 0 };
    // A payload that came before the type.
    let mut late = None;
    let mut more = reader.opens()?;
    while more {
        let key = match reader.written_key(&WRITTEN, 0)? {
            Some(index) => envelope.key_at(index).ok()?,
            None => envelope.key(reader.key()?).ok()?,
        };
        if key == "payload" {
            envelope.has_payload = true;
            match envelope.kind {
                Some(kind) => reader.payload(kind, &mut envelope.payload)?,
                None => {
                    late = Some(Reader { text, at: reader.at });
                    reader.skip_object()?;
                }
            }
        } else {
            let scalar = reader.scalar()?;
            envelope.set(key, scalar).ok()?;
        }
        more = reader.goes_on()?;
    }
    reader.end()?;
    match late {
        Some(mut reader) => reader.payload(envelope.kind?, &mut envelope.payload),
        None => Some(()),
    }
}

/// Takes a payload that came alone. `None`: as for [`event`].
pub(super) fn payload<'a>(kind: &TypeInfo, text: &'a str, payload: &mut Payload<'a>) -> Option<()> {
    let mut reader = Reader { text, at: 0 };
    reader.payload(kind, payload)?;
    reader.end()
}

/// Reads from a place in the event on. Each method gives up with `None`.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no white space, which is passed.
    #[inline(always)]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.text.as_bytes().get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    #[inline]
    fn pass(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// Nothing but white space is left.
    fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// Passes the brace in front of an object; false when it is empty, and passed whole.
    #[inline]
    fn opens(&mut self) -> Option<bool> {
        self.pass(b'{')?;
        let more = self.peek()? != b'}';
        self.at += usize::from(!more);
        Some(more)
    }

    /// Passes what stands behind a member; false when that was the last.
    #[inline(always)]
    fn goes_on(&mut self) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            b'}' => Some(false),
            _ => None,
        }
    }

    /// The place of the key that comes among these, which is passed. `Some(None)`: it is another one, or
    /// written otherwise.
    #[inline(always)]
    fn written_key(&mut self, keys: &[WrittenKey], hint: usize) -> Option<Option<usize>> {
        self.peek()?;
        let found = written::find(keys, self.rest(), hint);
        Some(found.map(|(index, len)| {
            self.at += len;
            index
        }))
    }

    #[inline]
    fn key(&mut self) -> Option<&'a str> {
        let key = self.string()?;
        self.pass(b':')?;
        Some(key)
    }

    fn payload(&mut self, kind: &TypeInfo, payload: &mut Payload<'a>) -> Option<()> {
        let keys = kind.written_keys();
        let mut hint = 0;
        let mut more = self.opens()?;
        while more {
            let known = match self.written_key(keys, hint)? {
                Some(index) => Ok(index),
                None => {
                    let key = self.key()?;
                    kind.find(key, hint).ok_or(key)
                }
            };
            match known {
                Ok(index) => {
                    hint = index + 1;
                    let scalar = self.scalar()?;
                    payload.set(kind, index, scalar).ok()?;
                }
                Err(unknown) => {
                    let value = self.scalar_text()?;
                    payload.add_unknown(unknown, value).ok()?;
                }
            }
            more = self.goes_on()?;
        }
        Some(())
    }

    /// Passes an object in which nothing is nested, to be read later.
    fn skip_object(&mut self) -> Option<()> {
        self.pass(b'{')?;
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => return None,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => self.at += 1,
            }
        }
    }

    /// A string without escapes.
    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        self.pass(b'"')?;
        self.rest_of_string().map(Text::as_str)
    }

    /// What is left of a string behind its first quote.
    #[inline(always)]
    fn rest_of_string(&mut self) -> Option<Text<'a>> {
        let ahead = self.text.get(self.at..)?;
        let len = plain_run(ahead.as_bytes());
        self.at += len;
        // Not a quote: an escape, or a control character, which JSON forbids.
        self.pass_byte(b'"')?;
        Text::within(ahead, len)
    }

    #[inline]
    fn pass_byte(&mut self, wanted: u8) -> Option<()> {
        (*self.text.as_bytes().get(self.at)? == wanted).then(|| self.at += 1)
    }

    /// A string, an integer from 0 on, or null.
    #[inline(always)]
    fn scalar(&mut self) -> Option<Scalar<'a>> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.rest_of_string().map(Scalar::Text)
            }
            b'0'..=b'9' => Some(Scalar::Int(self.integer()?)),
            b'n' => self.word("null").map(|_| Scalar::Null),
            _ => None,
        }
    }

    /// The text of a value whose key no schema knows; `Some(None)` for null.
    fn scalar_text(&mut self) -> Option<Option<&'a str>> {
        match self.peek()? {
            b'"' => self.string().map(Some),
            b'0'..=b'9' => {
                let from = self.at;
                self.integer()?;
                self.text.get(from..self.at).map(Some)
            }
            b't' => self.word("true").map(Some),
            b'f' => self.word("false").map(Some),
            b'n' => self.word("null").map(|_| None),
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> Option<&'a str> {
        let found = self.text.get(self.at..self.at + word.len()).filter(|found| *found == word)?;
        self.at += word.len();
        Some(found)
    }

    /// Digits without a zero in front; so few that they fit 64 bits.
    #[inline]
    fn integer(&mut self) -> Option<i64> {
        let digits = self.rest();
        let (mut n, mut len) = (0_i64, 0);
        while let Some(digit @ b'0'..=b'9') = digits.get(len) {
            n = n.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
            len += 1;
        }
        let leading_zero = len > 1 && digits.first() == Some(&b'0');
        if leading_zero || matches!(digits.get(len), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        self.at += len;
        Some(n)
    }
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
