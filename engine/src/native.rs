//! ClickHouse's native compressed blocks, as `compress=1` and `decompress=1` use them.
//!
//! A block is a 16-byte CityHash128 (version 1.0.2, halves swapped) of what follows: method, length
//! with this 9-byte header, length uncompressed, data. Sizes are bounded before anything is
//! allocated for them.

use std::io::{self, Read};

const CHECKSUM: usize = 16;
const HEADER: usize = 9;
const NONE: u8 = 0x02;
const LZ4: u8 = 0x82;
const ZSTD: u8 = 0x90;
/// Largest block taken, uncompressed; ClickHouse's own clients send at most 1 MiB, the Rust client
/// one block a call.
const MAX_BLOCK: usize = 256 << 20;

/// What is wrong with a block; carried in an [`io::Error`].
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The data was changed on its way.
    #[error("checksum of a compressed block does not match")]
    Checksum,
    /// Not LZ4, ZSTD or NONE.
    #[error("unknown compression method 0x{0:02x}")]
    Method(u8),
    /// A length that no honest block has.
    #[error("a compressed block claims {0} bytes")]
    Size(usize),
    /// The data is not what the method makes.
    #[error("a compressed block does not decompress: {0}")]
    Data(String),
}

fn hash(bytes: &[u8]) -> [u8; CHECKSUM] {
    cityhash_rs::cityhash_102_128(bytes).rotate_right(64).to_le_bytes()
}

fn size(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b))
}

/// Reads blocks and gives their content.
pub struct BlockReader<R> {
    inner: R,
    raw: Vec<u8>,
    plain: Vec<u8>,
    at: usize,
}

impl<R: Read> BlockReader<R> {
    /// Reads blocks from `inner`.
    pub fn new(inner: R) -> Self {
        BlockReader { inner, raw: Vec::new(), plain: Vec::new(), at: 0 }
    }

    /// False at a clean end; an end within a block is [`io::ErrorKind::UnexpectedEof`].
    fn next_block(&mut self) -> io::Result<bool> {
        let mut checksum = [0; CHECKSUM];
        let mut got = 0;
        while got < CHECKSUM {
            match self.inner.read(&mut checksum[got..])? {
                0 if got == 0 => return Ok(false),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => got += n,
            }
        }
        self.raw.resize(HEADER, 0);
        self.inner.read_exact(&mut self.raw)?;
        let (compressed, plain) = (size(&self.raw[1..5]), size(&self.raw[5..9]));
        if !(HEADER..=MAX_BLOCK).contains(&compressed) {
            return Err(io::Error::other(BlockError::Size(compressed)));
        }
        if plain > MAX_BLOCK {
            return Err(io::Error::other(BlockError::Size(plain)));
        }
        // `take` grows with what really comes, not with what the header claims.
        let body = (compressed - HEADER) as u64;
        if self.inner.by_ref().take(body).read_to_end(&mut self.raw)? as u64 != body {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if hash(&self.raw) != checksum {
            return Err(io::Error::other(BlockError::Checksum));
        }
        let data = &self.raw[HEADER..];
        let bad = |e: &dyn std::fmt::Display| io::Error::other(BlockError::Data(e.to_string()));
        self.plain = match self.raw[0] {
            NONE => data.to_vec(),
            // LZ4 expands at most 255 times.
            LZ4 if plain / 255 > data.len() => return Err(io::Error::other(BlockError::Size(plain))),
            LZ4 => lz4_flex::block::decompress(data, plain).map_err(|e| bad(&e))?,
            ZSTD => zstd::bulk::decompress(data, plain).map_err(|e| bad(&e))?,
            method => return Err(io::Error::other(BlockError::Method(method))),
        };
        self.at = 0;
        if self.plain.len() != plain {
            return Err(io::Error::other(BlockError::Size(plain)));
        }
        Ok(true)
    }
}

impl<R: Read> Read for BlockReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.plain.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let n = out.len().min(self.plain.len() - self.at);
        out[..n].copy_from_slice(&self.plain[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// Appends `plain` as LZ4 blocks of at most 1 MiB, as ClickHouse writes them.
pub fn write_blocks(plain: &[u8], out: &mut Vec<u8>) {
    for piece in plain.chunks(1 << 20) {
        let start = out.len();
        out.extend_from_slice(&[0; CHECKSUM]);
        let compressed = lz4_flex::block::compress(piece);
        out.push(LZ4);
        // A piece of 1 MiB stays far below 4 GiB, compressed too.
        out.extend_from_slice(&u32::try_from(compressed.len() + HEADER).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&u32::try_from(piece.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&compressed);
        let sum = hash(&out[start + CHECKSUM..]);
        out[start..start + CHECKSUM].copy_from_slice(&sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_blocks(plain, &mut out);
        out
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        BlockReader::new(bytes).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn blocks_come_back_as_they_went() -> io::Result<()> {
        let plain: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 7) as u8).collect();
        assert_eq!(read(&blocks(&plain))?, plain);
        assert_eq!(read(&[])?, b"");
        Ok(())
    }

    #[test]
    fn a_cut_at_every_byte_within_a_block_is_an_error() {
        let bytes = blocks(b"some rows of data, some rows of data");
        for cut in 1..bytes.len() {
            assert_eq!(read(&bytes[..cut]).map_err(|e| e.kind()), Err(io::ErrorKind::UnexpectedEof), "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_an_error() {
        let bytes = blocks(b"some rows of data, some rows of data");
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            assert!(read(&bad).is_err(), "byte {at}");
        }
    }
}
