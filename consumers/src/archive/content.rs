//! An Avro archive file read to its last datum: for whoever replaces it, and whoever doubts it.

use super::census::agrees;
use super::name::FileName;
use super::offsets;
use super::reader::{self, ReadError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use penstock::codec::frame::{self, FrameError};
use penstock::codec::registry::{WriterSchema, by_fingerprint};
use penstock::codec::wire::Cursor;
use penstock::log::{Offset, Range};
use xxhash_rust::xxh3::Xxh3;

/// Largest block after decompression: one is closed at 256 KiB, with a record of at most 1 GiB.
const BLOCK_MAX: usize = 1 << 30;
/// Most bytes of datums in a file: Arrow's offsets of text end at 2 GiB.
const DATUMS_MAX: usize = 3 << 29;

/// Why a file's records cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The file is no whole container file of ours.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its records were written with a schema that this program does not know.
    #[error("no schema has the fingerprint {0:016x}: a newer version wrote it")]
    UnknownSchema(u64),
    /// A block does not decompress.
    #[error("a block does not decompress: {0}")]
    Block(std::io::Error),
    /// A datum does not decode.
    #[error("record {0} of the file: {1}")]
    Datum(usize, FrameError),
    /// The file contradicts itself.
    #[error("{0}")]
    Wrong(&'static str),
}

/// The records of a file.
pub struct Content {
    /// What they are written with.
    pub schema: &'static WriterSchema,
    datums: Vec<u8>,
    /// Where each datum ends.
    ends: Vec<usize>,
    /// Their offsets; `None` when the file does not say them.
    runs: Option<Vec<Range>>,
    /// Records of the whole range, all types and hours; 0 when the file does not say.
    pub range_records: u64,
    /// XXH3 of the datums one behind the other.
    pub digest: u64,
}

impl Content {
    /// Reads the file `name` from its bytes, and checks all of it: the header against the name,
    /// every datum, that each is of the name's type and hour.
    ///
    /// Errors: [`ContentError`].
    pub fn read(bytes: &[u8], name: &FileName) -> Result<Content, ContentError> {
        let summary = reader::summarise(bytes)?;
        let header = &summary.header;
        agrees(header, name)?;
        let schema = by_fingerprint(name.schema).ok_or(ContentError::UnknownSchema(name.schema))?;
        if schema.kind.name != name.kind || header.get("avro.schema") != Some(schema.json) {
            return Err(ContentError::Wrong("its schema is not the one that its name says"));
        }
        let mut codec = match header.get("avro.codec") {
            Some("null") => None,
            Some("zstandard") => Some(zstd::bulk::Decompressor::new().map_err(ContentError::Block)?),
            _ => return Err(ContentError::Wrong("its codec is neither null nor zstandard")),
        };
        let mut unpack = |packed: &[u8], out: &mut Vec<u8>| match &mut codec {
            None => {
                out.extend_from_slice(packed);
                Ok::<(), ContentError>(())
            }
            Some(zstd) => {
                let size = zstd::bulk::Decompressor::upper_bound(packed).unwrap_or(BLOCK_MAX).min(BLOCK_MAX);
                out.extend(zstd.decompress(packed, size).map_err(ContentError::Block)?);
                Ok(())
            }
        };
        let mut datums = Vec::new();
        let start = usize::try_from(header.blocks_at).unwrap_or(usize::MAX);
        let mut cursor = Cursor::new(bytes.get(start..).unwrap_or_default());
        let mut ends = Vec::new();
        while !cursor.rest().is_empty() {
            let count = cursor.long().map_err(ReadError::from)?;
            let packed = cursor.bytes().map_err(ReadError::from)?;
            cursor.take(header.sync.len()).map_err(ReadError::from)?; // compared by `summarise`
            unpack(packed, &mut datums)?;
            if datums.len() > DATUMS_MAX {
                return Err(ContentError::Wrong("it holds more than fits into memory at once"));
            }
            for _ in 0..count {
                let at = ends.last().copied().unwrap_or(0);
                let datum = &datums[at..];
                let length = frame::datum_length(schema, datum).map_err(|e| ContentError::Datum(ends.len(), e))?;
                let envelope = frame::envelope(datum).map_err(|e| ContentError::Datum(ends.len(), e))?;
                if envelope.time.hour() != name.hour {
                    return Err(ContentError::Wrong("it has a record of another hour"));
                }
                ends.push(at + length);
            }
            if ends.last().copied().unwrap_or(0) != datums.len() {
                return Err(ContentError::Wrong("a block has more bytes than its records"));
            }
        }
        let mut digest = Xxh3::new();
        digest.update(&datums);
        let digest = digest.digest();
        if header.get("penstock.xxh3").is_some_and(|said| said != format!("{digest:016x}")) {
            return Err(ContentError::Wrong("its records are not those that were written: the checksum differs"));
        }
        let range_records = header.get("penstock.range_records").and_then(|v| v.parse().ok()).unwrap_or(0);
        let mut content = Content { schema, datums, ends, runs: None, range_records, digest };
        content.runs = match header.get("penstock.offsets") {
            Some(text) => {
                let packed = BASE64.decode(text).map_err(|_| ContentError::Wrong("its offsets are no base64"))?;
                let mut plain = Vec::new();
                unpack(&packed, &mut plain)?;
                let runs = offsets::runs(&plain, name.range, content.len() as u64);
                Some(runs.ok_or(ContentError::Wrong("its offsets are not those of its records"))?)
            }
            // All of the range: there is only one way to number them.
            None if content.len() as u64 == name.range.len() => Some(vec![name.range]),
            None => None,
        };
        Ok(content)
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the file says which offsets its records have.
    pub fn numbered(&self) -> bool {
        self.runs.is_some()
    }

    /// The records with their offsets, ascending; nothing when they are not numbered.
    pub fn records(&self) -> impl Iterator<Item = (Offset, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let datums = starts.zip(&self.ends).map(|(start, end)| &self.datums[start..*end]);
        self.runs.iter().flatten().flat_map(|run| run.from..run.to).zip(datums)
    }
}
