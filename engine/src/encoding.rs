//! Request bodies in and result bodies out: HTTP content encodings and native blocks.

use crate::exception::{Code, Exception};
use crate::native::{BlockError, BlockReader, write_blocks};
use bytes::Bytes;
use std::io::{self, Read, Write};
use tokio::sync::mpsc;

/// A body's HTTP content encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// zlib (RFC 1950).
    Deflate,
    /// RFC 8878.
    Zstd,
    /// The LZ4 frame format.
    Lz4,
}

impl Encoding {
    /// By its HTTP name; `None` for one that is not served.
    #[must_use]
    pub fn named(name: &str) -> Option<Encoding> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Encoding::Identity),
            "gzip" | "x-gzip" => Some(Encoding::Gzip),
            "deflate" => Some(Encoding::Deflate),
            "zstd" => Some(Encoding::Zstd),
            "lz4" => Some(Encoding::Lz4),
            _ => None,
        }
    }

    /// The value of `Content-Encoding`; `None` for identity.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Encoding::Identity => None,
            Encoding::Gzip => Some("gzip"),
            Encoding::Deflate => Some("deflate"),
            Encoding::Zstd => Some("zstd"),
            Encoding::Lz4 => Some("lz4"),
        }
    }

    /// The first served encoding of an `Accept-Encoding` header that is not refused with `q=0`.
    #[must_use]
    pub fn accepted(header: &str) -> Encoding {
        header
            .split(',')
            .filter_map(|item| {
                let (name, rest) = item.split_once(';').unwrap_or((item, ""));
                let refused = matches!(rest.trim().strip_prefix("q="), Some("0" | "0.0" | "0.00" | "0.000"));
                if refused { None } else { Encoding::named(name) }
            })
            .find(|e| *e != Encoding::Identity)
            .unwrap_or(Encoding::Identity)
    }
}

/// A piece of a request's body on its way to the query's thread.
#[derive(Debug)]
pub enum Piece {
    /// Bytes as they came.
    Data(Bytes),
    /// The body was whole.
    End,
    /// It will not be: why.
    Broken(Exception),
}

/// The body as a blocking reader. A channel that closes before [`Piece::End`] is a broken body, so
/// a handler that is dropped with its connection can never make a short body look whole.
pub struct BodyReader {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

/// An [`Exception`] travelling through [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Carried(Exception);

/// A body with what it takes to read it, to be opened where blocking is allowed: some decoders
/// read at once.
pub struct Body {
    /// The bytes as they come.
    pub reader: BodyReader,
    /// The HTTP content encoding.
    pub encoding: Encoding,
    /// `decompress=1`: native blocks within it.
    pub native: bool,
}

impl BodyReader {
    /// Reads what is sent into the channel.
    #[must_use]
    pub fn new(pieces: mpsc::Receiver<Piece>) -> Self {
        BodyReader { pieces, current: Bytes::new(), ended: false }
    }
}

impl Body {
    /// The body decoded.
    ///
    /// Errors: an [`io::Error`] when a decoder cannot be set up.
    pub fn open(self) -> io::Result<Box<dyn Read>> {
        let reader = self.reader;
        let plain: Box<dyn Read> = match self.encoding {
            Encoding::Identity => Box::new(reader),
            Encoding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(reader)),
            Encoding::Deflate => Box::new(flate2::read::ZlibDecoder::new(reader)),
            Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(reader)?),
            Encoding::Lz4 => {
                let decoder = lz4_flex::frame::FrameDecoder::new(reader);
                Box::new(Lz4Body { decoder, whole: false })
            }
        };
        Ok(if self.native { Box::new(BlockReader::new(plain)) } else { plain })
    }
}

impl Read for BodyReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            if self.ended {
                return Ok(0);
            }
            match self.pieces.blocking_recv() {
                Some(Piece::Data(bytes)) => self.current = bytes,
                Some(Piece::End) => self.ended = true,
                Some(Piece::Broken(exception)) => return Err(io::Error::other(Carried(exception))),
                None => {
                    let gone = Exception::new(Code::NetworkError, "the client went away before its request was whole");
                    return Err(io::Error::other(Carried(gone)));
                }
            }
        }
        let n = out.len().min(self.current.len());
        out[..n].copy_from_slice(&self.current.split_to(n));
        Ok(n)
    }
}

/// The LZ4 decoder takes an end of input between two blocks for the frame's end, and stops at the
/// frame's end without looking further. So here the frame must end before the body is seen to, and
/// the body right behind it.
struct Lz4Body {
    decoder: lz4_flex::frame::FrameDecoder<BodyReader>,
    whole: bool,
}

impl Read for Lz4Body {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.whole || out.is_empty() {
            return Ok(0);
        }
        let n = self.decoder.read(out)?;
        if n == 0 {
            if self.decoder.get_ref().ended {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.decoder.get_mut().read(&mut [0])? > 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes follow the LZ4 frame"));
            }
            self.whole = true;
        }
        Ok(n)
    }
}

/// What an error of a body's reader means to the client.
#[must_use]
pub fn body_exception(error: &io::Error) -> Exception {
    let inner = error.get_ref();
    if let Some(Carried(exception)) = inner.and_then(|e| e.downcast_ref::<Carried>()) {
        return exception.clone();
    }
    let code = match inner.and_then(|e| e.downcast_ref::<BlockError>()) {
        Some(BlockError::Checksum) => Code::ChecksumDoesntMatch,
        Some(BlockError::Method(_)) => Code::UnknownCompressionMethod,
        Some(BlockError::Size(_)) => Code::TooLargeSizeCompressed,
        _ => Code::CannotReadAllData,
    };
    let what =
        if error.kind() == io::ErrorKind::UnexpectedEof { "it ends early".to_owned() } else { error.to_string() };
    Exception::new(code, format_args!("the request's body cannot be read: {what}"))
        .with_status(actix_web::http::StatusCode::BAD_REQUEST)
}

/// Encodes a result piece by piece; each call gives the bytes to send for what it was given.
pub enum Encoder {
    /// As it is.
    Plain,
    /// Native LZ4 blocks (`compress=1`).
    Native,
    /// gzip.
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    /// zlib.
    Deflate(flate2::write::ZlibEncoder<Vec<u8>>),
    /// zstd.
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    /// LZ4 frame.
    Lz4(Box<lz4_flex::frame::FrameEncoder<Vec<u8>>>),
}

impl Encoder {
    /// Encoder for one result. Errors: an [`io::Error`] when zstd cannot allocate its context.
    pub fn new(encoding: Encoding, native: bool) -> io::Result<Encoder> {
        let fast = flate2::Compression::fast();
        Ok(match encoding {
            _ if native => Encoder::Native,
            Encoding::Identity => Encoder::Plain,
            Encoding::Gzip => Encoder::Gzip(flate2::write::GzEncoder::new(Vec::new(), fast)),
            Encoding::Deflate => Encoder::Deflate(flate2::write::ZlibEncoder::new(Vec::new(), fast)),
            Encoding::Zstd => Encoder::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1)?),
            Encoding::Lz4 => Encoder::Lz4(Box::new(lz4_flex::frame::FrameEncoder::new(Vec::new()))),
        })
    }

    /// Encodes one piece; a decoder can give all of it from what was returned so far.
    ///
    /// Errors: an [`io::Error`] from the codec; writing into memory does not fail.
    pub fn piece(&mut self, plain: &[u8]) -> io::Result<Bytes> {
        fn through<W: Write>(w: &mut W, plain: &[u8]) -> io::Result<()> {
            w.write_all(plain)?;
            w.flush()
        }
        let out = match self {
            Encoder::Plain => return Ok(Bytes::copy_from_slice(plain)),
            Encoder::Native => {
                let mut out = Vec::new();
                write_blocks(plain, &mut out);
                out
            }
            Encoder::Gzip(e) => through(e, plain).map(|()| std::mem::take(e.get_mut()))?,
            Encoder::Deflate(e) => through(e, plain).map(|()| std::mem::take(e.get_mut()))?,
            Encoder::Zstd(e) => through(e, plain).map(|()| std::mem::take(e.get_mut()))?,
            Encoder::Lz4(e) => through(e, plain).map(|()| std::mem::take(e.get_mut()))?,
        };
        Ok(out.into())
    }

    /// What closes the encoded body. Errors: as [`Encoder::piece`].
    pub fn finish(self) -> io::Result<Bytes> {
        let out = match self {
            Encoder::Plain | Encoder::Native => Vec::new(),
            Encoder::Gzip(e) => e.finish()?,
            Encoder::Deflate(e) => e.finish()?,
            Encoder::Zstd(e) => e.finish()?,
            Encoder::Lz4(e) => e.finish().map_err(io::Error::other)?,
        };
        Ok(out.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Encoding; 5] = [Encoding::Identity, Encoding::Gzip, Encoding::Deflate, Encoding::Zstd, Encoding::Lz4];

    fn encoded(encoding: Encoding, native: bool) -> io::Result<Vec<u8>> {
        let mut encoder = Encoder::new(encoding, native)?;
        let mut out = encoder.piece(b"first rows\n")?.to_vec();
        out.extend_from_slice(&encoder.piece(b"second rows\n")?);
        out.extend_from_slice(&encoder.finish()?);
        Ok(out)
    }

    fn decode(bytes: &[u8], end: Option<Piece>, encoding: Encoding, native: bool) -> io::Result<Vec<u8>> {
        let (tx, rx) = mpsc::channel(4);
        tx.try_send(Piece::Data(Bytes::copy_from_slice(bytes))).map_err(io::Error::other)?;
        if let Some(end) = end {
            tx.try_send(end).map_err(io::Error::other)?;
        }
        drop(tx);
        let mut out = Vec::new();
        Body { reader: BodyReader::new(rx), encoding, native }.open()?.read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn every_encoding_comes_back_as_it_went() -> io::Result<()> {
        for encoding in ALL {
            let bytes = encoded(encoding, false)?;
            assert_eq!(
                decode(&bytes, Some(Piece::End), encoding, false)?,
                b"first rows\nsecond rows\n",
                "{encoding:?}"
            );
        }
        assert_eq!(decode(&encoded(Encoding::Identity, true)?, Some(Piece::End), Encoding::Identity, true)?.len(), 23);
        Ok(())
    }

    #[test]
    fn a_body_without_its_end_is_never_whole() -> io::Result<()> {
        for encoding in ALL {
            let bytes = encoded(encoding, false)?;
            // The client is gone: nobody sent the end.
            assert!(decode(&bytes, None, encoding, false).is_err(), "{encoding:?}");
            // The transfer was whole but the compressed body is cut.
            if encoding != Encoding::Identity {
                for cut in 1..bytes.len() {
                    assert!(
                        decode(&bytes[..cut], Some(Piece::End), encoding, false).is_err(),
                        "{encoding:?} cut at {cut}"
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn the_first_accepted_encoding_is_taken() {
        assert_eq!(Encoding::accepted("br, gzip;q=0, zstd"), Encoding::Zstd);
        assert_eq!(Encoding::accepted("*"), Encoding::Identity);
        assert_eq!(Encoding::accepted("lz4"), Encoding::Lz4);
    }
}
