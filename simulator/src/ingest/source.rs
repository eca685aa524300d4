//! Opens a file or the standard input, plain, gzip or zstd, by its name or its first bytes.

use super::Progress;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Where the lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The standard input.
    Stdin,
}

impl Source {
    /// `-` is the standard input.
    #[must_use]
    pub fn from_arg(arg: &Path) -> Source {
        if arg.as_os_str() == "-" { Source::Stdin } else { Source::File(arg.to_owned()) }
    }

    /// For messages.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Source::File(path) => path.display().to_string(),
            Source::Stdin => "the standard input".to_owned(),
        }
    }

    /// Size in bytes as it lies on disk, for the progress; `None` for a pipe.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match self {
            Source::File(path) => std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|m| m.len()),
            Source::Stdin => None,
        }
    }

    /// Opens and unpacks it; what is read of the file itself is counted. Errors: the system's.
    pub fn open(&self, progress: &Arc<Progress>) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Source::File(path) => {
                let file = File::open(path)?;
                if file.metadata()?.is_dir() {
                    return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
                }
                let named = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
                decompressed(Counted { inner: file, progress: progress.clone() }, named.as_deref())
            }
            Source::Stdin => decompressed(Counted { inner: io::stdin(), progress: progress.clone() }, None),
        }
    }
}

const GZIP: &[u8] = &[0x1F, 0x8B];
const ZSTD: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];

fn decompressed(mut input: impl Read + Send + 'static, extension: Option<&str>) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(ZSTD.len());
    input.by_ref().take(ZSTD.len() as u64).read_to_end(&mut head)?;
    let gzip = extension == Some("gz") || head.starts_with(GZIP);
    let zstd = extension == Some("zst") || head.starts_with(ZSTD);
    let whole = Cursor::new(head).chain(input);
    Ok(match (gzip, zstd) {
        // Multi: files that were appended to, or packed in parallel, have several members.
        (true, _) => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        (_, true) => Box::new(zstd::stream::read::Decoder::new(whole)?),
        _ => Box::new(whole),
    })
}

/// Counts what was read of the file itself, so that the progress fits its size.
struct Counted<R> {
    inner: R,
    progress: Arc<Progress>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.progress.bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
