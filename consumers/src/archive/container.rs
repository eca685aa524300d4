//! Avro object container files, written block by block from datums that are copied as they are.
//!
//! The format is the Avro specification's "Object Container Files". The Avro library has no way to
//! append a raw datum, so the few lines of it are here; it reads our files back in the tests. The
//! sync marker comes from the file's name instead of chance, so the same records under the same
//! name give the same bytes.

use super::name::FileName;
use super::offsets::Offsets;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use penstock::codec::wire::{put_bytes, put_long};
use penstock::log::Offset;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// First bytes of every container file, with the format's version.
pub const MAGIC: [u8; 4] = *b"Obj\x01";
/// Length of the marker behind the header and behind each block.
pub const SYNC: usize = 16;
/// A block is closed when its datums reach so many bytes: what a reader holds at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// How blocks are compressed.
pub enum Codec {
    /// Avro's `null`.
    Null,
    /// Avro's `zstandard`: each block one frame that tells its content's size.
    Zstandard {
        /// The library's context.
        zstd: zstd::bulk::Compressor<'static>,
        /// What it made last; its memory is used again.
        packed: Vec<u8>,
    },
}

impl Codec {
    /// `null` for level 0, else `zstandard`. Errors: when zstd cannot allocate its context.
    pub fn new(zstd_level: i32) -> std::io::Result<Codec> {
        if zstd_level == 0 {
            return Ok(Codec::Null);
        }
        Ok(Codec::Zstandard { zstd: zstd::bulk::Compressor::new(zstd_level)?, packed: Vec::new() })
    }

    /// Its name in a file's header.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Codec::Null => "null",
            Codec::Zstandard { .. } => "zstandard",
        }
    }

    fn pack<'a>(&'a mut self, plain: &'a [u8]) -> std::io::Result<&'a [u8]> {
        match self {
            Codec::Null => Ok(plain),
            Codec::Zstandard { zstd, packed } => {
                packed.clear();
                packed.reserve(zstd::zstd_safe::compress_bound(plain.len()));
                zstd.compress_to_buffer(plain, packed)?;
                Ok(packed)
            }
        }
    }
}

/// A file that is being filled.
pub struct Container {
    name: FileName,
    path: String,
    schema_json: &'static str,
    sync: [u8; SYNC],
    /// Finished blocks.
    blocks: Vec<u8>,
    /// Datums of the block in hand.
    block: Vec<u8>,
    in_block: i64,
    records: u64,
    offsets: Offsets,
    /// Of the datums, so that a flipped bit that still decodes is found out.
    digest: Box<Xxh3>,
}

/// A whole file, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Path below the root.
    pub path: String,
    /// Magic, metadata and the first marker.
    pub header: Bytes,
    /// The blocks.
    pub blocks: Bytes,
    /// Records in it.
    pub records: u64,
}

impl Finished {
    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.header.len() + self.blocks.len()
    }

    /// Whether it has no bytes (it never has none).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Container {
    /// An empty file for records written with the schema `schema_json`.
    #[must_use]
    pub fn new(name: FileName, schema_json: &'static str) -> Container {
        let path = name.to_string();
        let sync = xxh3_128(path.as_bytes()).to_le_bytes();
        let offsets = Offsets::from(name.range.from);
        let (blocks, block) = (Vec::new(), Vec::new());
        let digest = Box::new(Xxh3::new());
        Container { name, path, schema_json, sync, blocks, block, in_block: 0, records: 0, offsets, digest }
    }

    /// Appends the record of `offset`, which is above those before it.
    ///
    /// Errors: when the codec fails, which only a lack of memory can cause.
    pub fn push(&mut self, offset: Offset, datum: &[u8], codec: &mut Codec) -> std::io::Result<()> {
        self.offsets.push(offset);
        self.block.extend_from_slice(datum);
        self.in_block += 1;
        self.records += 1;
        if self.block.len() >= BLOCK_BYTES { self.close_block(codec) } else { Ok(()) }
    }

    fn close_block(&mut self, codec: &mut Codec) -> std::io::Result<()> {
        if self.in_block == 0 {
            return Ok(());
        }
        self.digest.update(&self.block);
        put_long(&mut self.blocks, self.in_block);
        put_bytes(&mut self.blocks, codec.pack(&self.block)?);
        self.blocks.extend_from_slice(&self.sync);
        self.block.clear();
        self.in_block = 0;
        Ok(())
    }

    /// Closes the last block and writes the header, which tells how many records there are, at
    /// which offsets, their checksum, and how many all files of the range have together (`of`).
    ///
    /// Errors: as of [`push`](Self::push).
    pub fn finish(mut self, of: u64, codec: &mut Codec) -> std::io::Result<Finished> {
        self.close_block(codec)?;
        let FileName { log, range, .. } = &self.name;
        let metadata = [
            ("avro.schema", self.schema_json.as_bytes().to_vec()),
            ("avro.codec", codec.name().into()),
            ("penstock.log", log.name.as_bytes().to_vec()),
            ("penstock.partition", log.partition.to_string().into()),
            ("penstock.from", range.from.to_string().into()),
            ("penstock.to", range.to.to_string().into()),
            ("penstock.records", self.records.to_string().into()),
            ("penstock.range_records", of.to_string().into()),
            ("penstock.xxh3", format!("{:016x}", self.digest.digest()).into()),
            ("penstock.offsets", BASE64.encode(codec.pack(&self.offsets.finish())?).into()),
        ];
        let mut header = MAGIC.to_vec();
        put_long(&mut header, i64::try_from(metadata.len()).unwrap_or(i64::MAX));
        for (key, value) in &metadata {
            put_bytes(&mut header, key.as_bytes());
            put_bytes(&mut header, value);
        }
        put_long(&mut header, 0); // no further block of metadata
        header.extend_from_slice(&self.sync);
        Ok(Finished { path: self.path, header: header.into(), blocks: self.blocks.into(), records: self.records })
    }
}
