//! Reads an archive file back without trust: its header and the heads of its blocks.
//!
//! Nothing is decompressed and no datum is read, so counting a file costs a few small reads
//! whatever its size. Everything is bounded: a file may be cut, foreign or hostile.

use super::container::{MAGIC, SYNC};
use super::store::StoreError;
use penstock::codec::wire::{Cursor, WireError};
use std::fs::File;
use std::io;

/// Longest header that is read, in bytes; ours are the schema of about 4 KiB and, of large files
/// with mixed offsets, some hundred KiB that list them.
pub(super) const HEADER_MAX: usize = 16 << 20;
/// Most entries of metadata.
const ENTRIES_MAX: u64 = 64;
/// What is read of a header at first.
pub(super) const HEADER_FIRST: usize = 32 << 10;
/// Two longs of at most ten bytes.
const BLOCK_HEAD: usize = 20;

/// Bytes that can be read anywhere.
pub trait ReadAt {
    /// How many there are.
    fn length(&self) -> io::Result<u64>;
    /// Fills `out` from `offset` on as far as there are bytes; returns how many it put there.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize>;
}

impl ReadAt for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < out.len() {
            match std::os::unix::fs::FileExt::read_at(self, &mut out[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }
}

impl ReadAt for [u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|o| self.get(o..)).unwrap_or_default();
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store refused, or did not answer.
    #[error(transparent)]
    Store(#[from] Box<StoreError>),
    /// A value that ends early, or is none.
    #[error("not a whole Avro container file: {0}")]
    Wire(#[from] WireError),
    /// Not an Avro container file, or one that does not follow the format.
    #[error("not a whole Avro container file: {0}")]
    Format(&'static str),
    /// The header says another number of records than the blocks have.
    #[error("the header says {said} records, the blocks have {found}")]
    Records {
        /// In the header.
        said: u64,
        /// In the blocks.
        found: u64,
    },
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> ReadError {
        ReadError::Store(Box::new(error))
    }
}

/// What a file's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The metadata in the order of the file; values as bytes.
    pub metadata: Vec<(String, Vec<u8>)>,
    /// The marker behind every block.
    pub sync: [u8; SYNC],
    /// Where the first block begins.
    pub blocks_at: u64,
}

impl Header {
    /// The value of a key, when it is there and text.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let value = self.metadata.iter().find(|(k, _)| k == key).map(|(_, v)| v)?;
        std::str::from_utf8(value).ok()
    }
}

/// A file's header and how much its blocks hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The header.
    pub header: Header,
    /// Blocks.
    pub blocks: u64,
    /// Records in all blocks.
    pub records: u64,
    /// Length of the file in bytes.
    pub bytes: u64,
}

/// Walks over a file's header and the heads of its blocks.
///
/// Errors: [`ReadError`]; a file that ends within a block is no whole file.
pub fn summarise<R: ReadAt + ?Sized>(file: &R) -> Result<Summary, ReadError> {
    let bytes = file.length()?;
    let header = header(file)?;
    let (mut at, mut blocks, mut records) = (header.blocks_at, 0u64, 0u64);
    while at < bytes {
        let mut head = [0; BLOCK_HEAD];
        let n = file.read_at(at, &mut head)?;
        let mut cursor = Cursor::new(&head[..n]);
        let count =
            u64::try_from(cursor.long()?).ok().filter(|n| *n > 0).ok_or(ReadError::Format("a block's count"))?;
        let size = u64::try_from(cursor.long()?).map_err(|_| ReadError::Format("a block's size"))?;
        let body = at + (n - cursor.rest().len()) as u64;
        // A record has at least its id, and a codec that packs better than this is no codec of ours.
        if size == 0 || size > bytes || count > size.saturating_mul(1 << 16) {
            return Err(ReadError::Format("a block's size"));
        }
        let marker_at = body + size;
        let mut marker = [0; SYNC];
        if file.read_at(marker_at, &mut marker)? != SYNC || marker != header.sync {
            return Err(ReadError::Format("a block does not end with the file's marker"));
        }
        at = marker_at + SYNC as u64;
        blocks += 1;
        records = records.checked_add(count).ok_or(ReadError::Format("too many records"))?;
    }
    if let Some(said) = header.get("penstock.records").and_then(|v| v.parse().ok())
        && said != records
    {
        return Err(ReadError::Records { said, found: records });
    }
    Ok(Summary { header, blocks, records, bytes })
}

/// Reads a file's header. Errors: [`ReadError::Io`], [`ReadError::Format`].
pub fn header<R: ReadAt + ?Sized>(file: &R) -> Result<Header, ReadError> {
    let mut size = HEADER_FIRST;
    loop {
        let mut buffer = vec![0; size];
        let n = file.read_at(0, &mut buffer)?;
        match parse_header(&buffer[..n]) {
            // More of the file may make it whole.
            Err(ReadError::Wire(WireError::Short)) if n == size && size < HEADER_MAX => size *= 8,
            parsed => return parsed,
        }
    }
}

fn parse_header(buffer: &[u8]) -> Result<Header, ReadError> {
    let mut cursor = Cursor::new(buffer);
    if cursor.take(MAGIC.len())? != MAGIC {
        return Err(ReadError::Format("it does not begin as one"));
    }
    let mut metadata = Vec::new();
    loop {
        // Each entry has at least the two lengths of its key and value.
        let count = cursor.block(2)?;
        if count == 0 {
            break;
        }
        if (metadata.len() as u64).saturating_add(count) > ENTRIES_MAX {
            return Err(ReadError::Format("its metadata has too many entries"));
        }
        for _ in 0..count {
            metadata.push((cursor.text()?.to_owned(), cursor.bytes()?.to_vec()));
        }
    }
    let sync = *cursor.fixed()?;
    Ok(Header { metadata, sync, blocks_at: (buffer.len() - cursor.rest().len()) as u64 })
}
