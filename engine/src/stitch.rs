//! Makes one document of a streamed result.
//!
//! The library formats every piece of a streamed result as a document of its own. For formats that
//! are rows and nothing else that is the same; for some with a beginning the beginning is cut from
//! all pieces but the first; every other format (JSON, Parquet, Pretty, …) cannot be streamed and
//! is asked for whole.

/// What a format has around its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Nothing.
    Rows,
    /// So many lines of names (and types) before them, perhaps with quoted line breaks (CSV).
    Lines { lines: usize, quoted: bool },
    /// RowBinary's names and perhaps types.
    Binary { types: bool },
    /// A schema message before them and an end-of-stream mark behind.
    Arrow,
}

fn shape(format: &str) -> Option<Shape> {
    let name = format.to_ascii_lowercase();
    let (base, lines) = match name.strip_suffix("withnamesandtypes") {
        Some(base) => (base, 2),
        None => name.strip_suffix("withnames").map_or((name.as_str(), 0), |base| (base, 1)),
    };
    match (base, lines) {
        ("native" | "null" | "lineasstring" | "tskv" | "msgpack", 0) => Some(Shape::Rows),
        ("jsoneachrow" | "jsonlines" | "ndjson" | "jsonstringseachrow", 0) => Some(Shape::Rows),
        ("arrowstream", 0) => Some(Shape::Arrow),
        ("rowbinary", 0) => Some(Shape::Rows),
        ("rowbinary", n) => Some(Shape::Binary { types: n == 2 }),
        ("csv", 0) => Some(Shape::Rows),
        ("csv", lines) => Some(Shape::Lines { lines, quoted: true }),
        ("tsv" | "tabseparated" | "tsvraw" | "tabseparatedraw", 0) => Some(Shape::Rows),
        ("jsoncompacteachrow" | "jsoncompactstringseachrow", 0) => Some(Shape::Rows),
        // The raw ones do not escape a line break in a name.
        ("tsv" | "tabseparated" | "jsoncompacteachrow" | "jsoncompactstringseachrow", lines) => {
            Some(Shape::Lines { lines, quoted: false })
        }
        _ => None,
    }
}

/// Puts pieces together.
#[derive(Debug)]
pub struct Stitcher {
    shape: Shape,
    beginning: Option<Vec<u8>>,
    end: bool,
}

/// A piece does not look as its format says.
#[derive(Debug, thiserror::Error)]
#[error("a piece of the result does not begin like the first one")]
pub struct Mismatch;

/// Arrow's end of stream: a message of length 0.
const ARROW_END: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

impl Stitcher {
    /// For a format that can be streamed; `None` for others.
    #[must_use]
    pub fn new(format: &str) -> Option<Stitcher> {
        shape(format).map(|shape| Stitcher { shape, beginning: None, end: false })
    }

    /// What of `piece` belongs into the one document.
    ///
    /// Errors: [`Mismatch`].
    pub fn piece<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], Mismatch> {
        let body = match (self.shape, piece.strip_suffix(ARROW_END)) {
            (Shape::Arrow, Some(body)) => {
                self.end = true;
                body
            }
            (Shape::Arrow, None) => return Err(Mismatch),
            _ => piece,
        };
        match &self.beginning {
            Some(beginning) => body.strip_prefix(beginning.as_slice()).ok_or(Mismatch),
            None => {
                let length = beginning(self.shape, body).ok_or(Mismatch)?;
                self.beginning = Some(body.get(..length).ok_or(Mismatch)?.to_vec());
                Ok(body)
            }
        }
    }

    /// What follows the last piece.
    #[must_use]
    pub fn end(&self) -> &'static [u8] {
        if self.end { ARROW_END } else { &[] }
    }
}

fn beginning(shape: Shape, body: &[u8]) -> Option<usize> {
    match shape {
        Shape::Rows => Some(0),
        Shape::Lines { mut lines, quoted } => {
            let mut inside = false;
            for (at, byte) in body.iter().enumerate() {
                match byte {
                    b'"' if quoted => inside = !inside,
                    b'\n' if !inside => {
                        lines -= 1;
                        if lines == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
            }
            None
        }
        Shape::Binary { types } => {
            let (columns, mut at) = varint(body, 0)?;
            for _ in 0..columns * if types { 2 } else { 1 } {
                let (length, text) = varint(body, at)?;
                at = text.checked_add(length)?;
            }
            (at <= body.len()).then_some(at)
        }
        Shape::Arrow => {
            let length = body.strip_prefix(&[0xff; 4])?.get(..4)?;
            let length = u32::from_le_bytes(length.try_into().ok()?);
            Some(8 + length as usize)
        }
    }
}

fn varint(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for shift in (0..=63).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stitched(format: &str, pieces: &[&[u8]]) -> Option<Vec<u8>> {
        let mut stitcher = Stitcher::new(format)?;
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(stitcher.piece(piece).ok()?);
        }
        out.extend_from_slice(stitcher.end());
        Some(out)
    }

    #[test]
    fn a_beginning_is_kept_once() {
        let csv = stitched("CSVWithNames", &[b"\"a\nb\",\"c\"\"\"\n1,2\n", b"\"a\nb\",\"c\"\"\"\n3,4\n"]);
        assert_eq!(csv.as_deref(), Some(b"\"a\nb\",\"c\"\"\"\n1,2\n3,4\n".as_slice()));
        let binary = stitched("RowBinaryWithNamesAndTypes", &[b"\x01\x01a\x05UInt8\x07", b"\x01\x01a\x05UInt8\x08"]);
        assert_eq!(binary.as_deref(), Some(b"\x01\x01a\x05UInt8\x07\x08".as_slice()));
        let tsv = stitched("TabSeparatedWithNamesAndTypes", &[b"a\nUInt8\n1\n", b"a\nUInt8\n2\n"]);
        assert_eq!(tsv.as_deref(), Some(b"a\nUInt8\n1\n2\n".as_slice()));
    }

    #[test]
    fn a_document_is_not_streamed() {
        for format in
            ["JSON", "JSONCompact", "Parquet", "Arrow", "Pretty", "XML", "Vertical", "Values", "JSONColumns", "Avro"]
        {
            assert!(Stitcher::new(format).is_none(), "{format}");
        }
    }

    #[test]
    fn a_piece_that_begins_otherwise_is_an_error_not_garbage() {
        assert_eq!(stitched("CSVWithNames", &[b"\"a\"\n1\n", b"\"b\"\n1\n"]), None);
        assert_eq!(stitched("RowBinaryWithNames", &[b"\x02\x01a"]), None);
    }
}
