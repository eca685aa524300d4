//! Avro's primitives: written to a buffer, read from bytes that may be garbage.
//!
//! Reading borrows, allocates nothing and never goes beyond the bytes it was given.

/// Why bytes are not the Avro primitive that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end within a value.
    #[error("the bytes end within a value")]
    Short,
    /// A variable-length integer beyond 64 bits.
    #[error("an integer does not fit 64 bits")]
    Integer,
    /// A negative length.
    #[error("a length is negative")]
    Length,
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// A union branch that the schema does not have.
    #[error("a union has no such branch")]
    Branch,
}

/// Writes a `long` (or `int`): zigzag, then 7 bits a byte.
#[inline]
pub fn put_long(out: &mut Vec<u8>, n: i64) {
    let mut z = ((n << 1) ^ (n >> 63)).cast_unsigned();
    if z < 0x80 {
        // Branches of unions and lengths of short texts.
        return out.push(z as u8);
    }
    // All ten bytes that it may have are written, and those that it has not are taken back: one look for room.
    let (mut bytes, mut len) = ([0; 10], 1);
    while z >= 0x80 {
        bytes[len - 1] = (z & 0x7f) as u8 | 0x80;
        len += 1;
        z >>= 7;
    }
    bytes[len - 1] = z as u8;
    let end = out.len() + len;
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

/// Writes `bytes` or a `string`: the length, then the bytes.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len().cast_signed() as i64);
    out.extend_from_slice(bytes);
}

/// The bit of each byte that ASCII does not have.
const HIGH_BITS: u128 = u128::from_le_bytes([0x80; 16]);

/// Reads primitives from the front of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Reads from the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { rest: bytes }
    }

    /// What has not been read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads `len` bytes. Errors: [`WireError::Short`].
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(WireError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads a fixed of `N` bytes. Errors: [`WireError::Short`].
    #[inline]
    pub fn fixed<const N: usize>(&mut self) -> Result<&'a [u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(WireError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads a `long`. Errors: [`WireError::Short`], [`WireError::Integer`].
    #[inline]
    pub fn long(&mut self) -> Result<i64, WireError> {
        // Branches of unions and lengths of short texts, which most of a datum's integers are.
        if let [byte @ ..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            let z = i64::from(*byte);
            return Ok((z >> 1) ^ -(z & 1));
        }
        self.longer()
    }

    fn longer(&mut self) -> Result<i64, WireError> {
        let mut z = 0_u64;
        for (i, &byte) in self.rest.iter().enumerate().take(10) {
            // The tenth byte holds the 64th bit alone.
            if i == 9 && byte > 1 {
                return Err(WireError::Integer);
            }
            z |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok((z >> 1).cast_signed() ^ -(z & 1).cast_signed());
            }
        }
        Err(WireError::Short)
    }

    /// Reads `bytes`. Errors: [`WireError`].
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let len = usize::try_from(self.long()?).map_err(|_| WireError::Length)?;
        self.take(len)
    }

    /// Reads a `string`. Errors: [`WireError`].
    #[inline]
    pub fn text(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| WireError::Utf8)
    }

    /// Passes a `string`. Errors: as of [`text`](Self::text).
    #[inline]
    pub fn skip_text(&mut self) -> Result<(), WireError> {
        let len = usize::try_from(self.long()?).map_err(|_| WireError::Length)?;
        // Most texts are short and ASCII, which one look at the bytes from here on shows: what lies
        // behind the text is shifted out.
        if let (1..=16, Some(ahead)) = (len, self.rest.first_chunk::<16>()) {
            let text = u128::from_le_bytes(*ahead) << (8 * (16 - len));
            if text & HIGH_BITS == 0 {
                self.rest = &self.rest[len..];
                return Ok(());
            }
        }
        let bytes = self.take(len)?;
        if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() { Ok(()) } else { Err(WireError::Utf8) }
    }

    /// Reads the head of a map's or array's block: the number of its items, 0 at the end.
    /// Bounded by what is left, as every item has at least `min` (above 0) bytes. Errors: [`WireError`].
    pub fn block(&mut self, min: usize) -> Result<u64, WireError> {
        let mut count = self.long()?;
        if count < 0 {
            // A negative count is followed by the block's length, for readers that skip.
            self.long()?;
            count = count.checked_neg().ok_or(WireError::Length)?;
        }
        let count = count.unsigned_abs();
        if count > (self.rest.len() / min) as u64 { Err(WireError::Short) } else { Ok(count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_integer_beyond_64_bits_is_an_error() {
        assert_eq!(Cursor::new(&[0xff; 10]).long(), Err(WireError::Integer));
        assert_eq!(Cursor::new(&[0xff; 9]).long(), Err(WireError::Short));
        assert_eq!(Cursor::new(&[]).long(), Err(WireError::Short));
    }

    #[test]
    fn a_length_beyond_the_bytes_allocates_nothing_and_is_an_error() {
        let mut bytes = Vec::new();
        put_long(&mut bytes, i64::MAX);
        assert_eq!(Cursor::new(&bytes).bytes(), Err(WireError::Short));
        assert_eq!(Cursor::new(&bytes).block(2), Err(WireError::Short));
        bytes.clear();
        put_long(&mut bytes, -1);
        assert_eq!(Cursor::new(&bytes).bytes(), Err(WireError::Length));
        bytes.clear();
        put_long(&mut bytes, i64::MIN);
        put_long(&mut bytes, 0);
        assert_eq!(Cursor::new(&bytes).block(2), Err(WireError::Length));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(n: i64, text: String) {
            let mut bytes = Vec::new();
            put_long(&mut bytes, n);
            put_bytes(&mut bytes, text.as_bytes());
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.long(), Ok(n));
            prop_assert_eq!(cursor.text(), Ok(text.as_str()));
            prop_assert!(cursor.rest().is_empty());
        }

        #[test]
        fn a_text_is_passed_exactly_when_it_can_be_read(
            bytes in proptest::collection::vec(prop_oneof![4 => 0_u8..0x80, 1 => any::<u8>()], 0..40),
            behind in proptest::collection::vec(any::<u8>(), 0..20),
            more in 0_i64..3,
        ) {
            let mut all = Vec::new();
            put_long(&mut all, bytes.len() as i64 + more);
            all.extend_from_slice(&bytes);
            all.extend_from_slice(&behind);
            let (mut read, mut passed) = (Cursor::new(&all), Cursor::new(&all));
            let passing = passed.skip_text();
            prop_assert_eq!(read.text().map(|_| ()), passing);
            if passing.is_ok() {
                prop_assert_eq!(read.rest(), passed.rest());
            }
        }
    }
}
