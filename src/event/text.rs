//! Text of an event, borrowed together with what stands behind it.
//!
//! Most texts of an event are a few bytes long, and a call that copies five bytes costs more than the copy.
//! Sixteen bytes are copied without one, whatever of them belongs to the text; that those behind it may be
//! read is what is kept here.

use std::fmt;

/// Bytes that [`Text::piece`] gives at once.
pub(crate) const PIECE: usize = 16;

/// A text at the front of what is left of its event.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    ahead: &'a str,
    len: usize,
}

impl<'a> Text<'a> {
    /// The first `len` bytes of `ahead`; `None` when they end within a character.
    #[inline]
    pub(crate) fn within(ahead: &'a str, len: usize) -> Option<Text<'a>> {
        ahead.is_char_boundary(len).then_some(Text { ahead, len })
    }

    /// Bytes of UTF-8.
    #[inline]
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// The text.
    #[inline]
    pub(crate) fn as_str(self) -> &'a str {
        self.ahead.get(..self.len).unwrap_or_default()
    }

    /// The text's bytes.
    #[inline]
    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.ahead.as_bytes().get(..self.len).unwrap_or_default()
    }

    /// A short text's bytes and whatever stands behind them; `None` for a longer one, and where the event ends
    /// too soon.
    #[inline]
    pub(crate) fn piece(self) -> Option<&'a [u8; PIECE]> {
        self.ahead.as_bytes().first_chunk().filter(|_| self.len <= PIECE)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Text<'a> {
        Text { ahead: text, len: text.len() }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text<'_> {}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}
