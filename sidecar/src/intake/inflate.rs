//! Decompresses bodies with a bound on what comes out.
//!
//! A zip bomb is cut at the bound, a truncated or damaged body is a typed error, and the memory
//! is the worker's own buffer: one at a time, whatever the number of connections.

use flate2::bufread::MultiGzDecoder;
use std::io::Read;

/// `Content-Encoding` of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 1952, several members too.
    Gzip,
    /// RFC 8878, several frames too.
    Zstd,
}

/// Why a body could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum InflateError {
    /// More than the bound came out.
    #[error("the body is larger than {0} bytes when decompressed")]
    TooLarge(usize),
    /// The compressed stream ends before its end mark.
    #[error("the compressed body ends early")]
    Truncated,
    /// Not what the encoding says, or damaged.
    #[error("the compressed body is damaged: {0}")]
    Damaged(std::io::Error),
}

/// zstd windows above 8 MiB are refused, the limit that RFC 8878 (3.1.1.1.2) recommends to
/// support; a stranger must not choose how much memory a decoder takes.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Decompresses `body` into `out` (cleared first), at most `max` bytes.
///
/// Errors: [`InflateError`]; `out` is empty then.
pub fn inflate(body: &[u8], encoding: Encoding, max: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
    out.clear();
    let result = match encoding {
        Encoding::Gzip => read_bounded(MultiGzDecoder::new(body), max, out),
        Encoding::Zstd => zstd(body, max, out),
    };
    if result.is_err() {
        out.clear();
    }
    result
}

fn zstd(body: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
    if body.is_empty() {
        // An empty stream is no frame at all; the decoder would call it a clean end.
        return Err(InflateError::Truncated);
    }
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(InflateError::Damaged)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(InflateError::Damaged)?;
    read_bounded(decoder, max, out)
}

fn read_bounded(reader: impl Read, max: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
    let bound = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    match reader.take(bound).read_to_end(out) {
        Ok(n) if n > max => Err(InflateError::TooLarge(max)),
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(InflateError::Truncated),
        Err(e) => Err(InflateError::Damaged(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn packed(data: &[u8], encoding: Encoding) -> Vec<u8> {
        match encoding {
            Encoding::Gzip => gzip(data),
            Encoding::Zstd => zstd::encode_all(data, 3).unwrap(),
        }
    }

    const BOTH: [Encoding; 2] = [Encoding::Gzip, Encoding::Zstd];

    #[test]
    fn what_was_packed_comes_out_also_from_several_parts() {
        for encoding in BOTH {
            let mut body = packed(b"one,", encoding);
            body.extend(packed(b"two", encoding));
            let mut out = b"before".to_vec();
            inflate(&body, encoding, 7, &mut out).unwrap();
            assert_eq!(out, b"one,two");
        }
    }

    #[test]
    fn a_bomb_is_cut_at_the_bound() {
        for encoding in BOTH {
            let bomb = packed(&vec![b'['; 64 << 20], encoding);
            let mut out = Vec::new();
            let result = inflate(&bomb, encoding, 1 << 20, &mut out);
            assert!(matches!(result, Err(InflateError::TooLarge(n)) if n == 1 << 20), "{encoding:?} {result:?}");
            assert!(out.capacity() <= 4 << 20, "{}", out.capacity());
        }
    }

    #[test]
    fn a_body_cut_at_any_byte_is_truncated_and_never_taken() {
        let data: Vec<u8> = (0..2_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for encoding in BOTH {
            let whole = packed(&data, encoding);
            for end in (0..whole.len()).step_by(7).chain([0, 1, whole.len() - 1]) {
                let mut out = Vec::new();
                let result = inflate(&whole[..end], encoding, 1 << 20, &mut out);
                assert!(matches!(result, Err(InflateError::Truncated)), "{encoding:?} {end} {result:?}");
            }
        }
    }

    #[test]
    fn damage_is_told_apart_from_truncation() {
        for encoding in BOTH {
            let result = inflate(b"this is not compressed at all", encoding, 100, &mut Vec::new());
            assert!(matches!(result, Err(InflateError::Damaged(_))), "{encoding:?} {result:?}");
        }
    }

    #[test]
    fn a_zstd_window_beyond_eight_mebibytes_is_refused() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"small").unwrap();
        let body = encoder.finish().unwrap();
        assert!(matches!(inflate(&body, Encoding::Zstd, 100, &mut Vec::new()), Err(InflateError::Damaged(_))));
    }
}
