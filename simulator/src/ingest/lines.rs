//! Splits a stream into lines without ever holding more than one line of bounded length.

use std::io::{self, BufRead, BufReader, Read};

/// What one line turned out to be. The line itself is in [`Lines::line`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A line within the bound.
    Line,
    /// Only spaces.
    Blank,
    /// A line of so many bytes, over the bound; its content was skipped.
    TooLong(u64),
}

/// Reads lines; `\n` and `\r\n` both end one, and the last needs no end.
pub struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    longest: usize,
    number: u64,
}

const BUFFER: usize = 256 << 10;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl<R: Read> Lines<R> {
    /// Lines of at most `longest` bytes from `input`.
    pub fn new(input: R, longest: usize) -> Self {
        Lines { input: BufReader::with_capacity(BUFFER, input), line: Vec::new(), longest, number: 0 }
    }

    /// Number of the line that was found last, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The line that was found last, without its end and surrounding spaces.
    pub fn line(&self) -> &[u8] {
        self.line.trim_ascii()
    }

    /// Whether another line would have to wait for the stream.
    pub fn drained(&self) -> bool {
        self.input.buffer().is_empty()
    }

    /// Finds the next line; `None` at the end. Errors: the stream's own.
    pub fn advance(&mut self) -> io::Result<Option<Found>> {
        self.line.clear();
        let mut length = 0_u64;
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let end = memchr::memchr(b'\n', available);
            let taken = &available[..end.unwrap_or(available.len())];
            length += taken.len() as u64;
            let room = self.longest.saturating_sub(self.line.len());
            self.line.extend_from_slice(&taken[..taken.len().min(room)]);
            let (ended, consumed) = (end.is_some(), taken.len() + usize::from(end.is_some()));
            if !ended && consumed == 0 && length == 0 {
                return Ok(None);
            }
            let at_the_end = !ended && consumed == 0;
            self.input.consume(consumed);
            if ended || at_the_end {
                self.number += 1;
                return Ok(Some(self.judge(length)));
            }
        }
    }

    fn judge(&mut self, length: u64) -> Found {
        if length > self.longest as u64 {
            return Found::TooLong(length);
        }
        if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
            self.line.drain(..BYTE_ORDER_MARK.len());
        }
        if self.line().is_empty() { Found::Blank } else { Found::Line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8], longest: usize) -> Vec<(u64, Found, Vec<u8>)> {
        let mut lines = Lines::new(text, longest);
        let mut found = Vec::new();
        while let Some(kind) = lines.advance().unwrap() {
            found.push((lines.number(), kind, lines.line().to_vec()));
        }
        found
    }

    #[test]
    fn lines_keep_their_numbers_over_blank_ones_and_any_kind_of_end() {
        let found = all(b"\xEF\xBB\xBFone\r\n\n  \ntwo\n three", 10);
        let expected = [
            (1, Found::Line, b"one".to_vec()),
            (2, Found::Blank, vec![]),
            (3, Found::Blank, vec![]),
            (4, Found::Line, b"two".to_vec()),
            (5, Found::Line, b"three".to_vec()),
        ];
        assert_eq!(found, expected);
        assert!(all(b"", 10).is_empty());
    }

    #[test]
    fn a_line_over_the_bound_is_measured_and_not_kept() {
        let mut text = vec![b'x'; 3 * BUFFER];
        text.extend_from_slice(b"\nshort\n");
        let mut lines = Lines::new(&text[..], 16);
        assert_eq!(lines.advance().unwrap(), Some(Found::TooLong(3 * BUFFER as u64)));
        assert!(lines.line.capacity() < 1024, "the long line was buffered");
        assert_eq!(lines.advance().unwrap(), Some(Found::Line));
        assert_eq!((lines.number(), lines.line()), (2, &b"short"[..]));
        assert_eq!(lines.advance().unwrap(), None);
    }

    #[test]
    fn a_line_of_exactly_the_bound_is_taken() {
        assert_eq!(
            all(b"0123456789\n0123456789a", 10).iter().map(|f| f.1).collect::<Vec<_>>(),
            [Found::Line, Found::TooLong(11)]
        );
    }
}
