//! The stop list on disk, so that a restarted sidecar knows what was stopped before the log is read.
//!
//! Written aside, synced, renamed: the file is the old one or the new one. A damaged one is
//! reported and ignored; the log is then read from its start.

use penstock::ledger::Reason;
use penstock::pricing::CampaignId;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const MAGIC: &str = "penstock-stop-list 1";
/// Larger files are none of ours: 16 M campaigns would fit.
const MAX_BYTES: u64 = 2 << 30;

/// What was known when the log had been read up to `next`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    /// Name of the campaign-state log.
    pub log: String,
    /// Its partition.
    pub partition: u32,
    /// First offset that is not in here.
    pub next: u64,
    /// Whether the log had lost nothing up to there.
    pub whole: bool,
    /// Newest version.
    pub version: u64,
    /// All campaigns the log has spoken of, by id.
    pub campaigns: Vec<CampaignState>,
}

/// One campaign.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CampaignState {
    /// The campaign.
    pub id: CampaignId,
    /// Version of its state.
    pub version: u64,
    /// Whether it may be served.
    pub serving: bool,
    /// Why not.
    pub reasons: Vec<Reason>,
}

/// Why a snapshot could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// Not a snapshot of this version, or damaged.
    #[error("{path}: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Snapshot {
    /// Writes the file; when this returns, the new one survives a power cut. Blocks.
    ///
    /// Errors: [`SnapshotError::Io`]; the old file stands then.
    pub fn write(&self, path: &Path) -> Result<(), SnapshotError> {
        let io = |source| SnapshotError::Io { path: path.to_owned(), source };
        let body = serde_json::to_vec(self).map_err(|e| io(e.into()))?;
        let aside = path.with_extension("tmp");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside).map_err(io)?;
        writeln!(file, "{MAGIC} {:08x}", crc32c::crc32c(&body)).map_err(io)?;
        file.write_all(&body).map_err(io)?;
        file.sync_all().map_err(io)?;
        fs::rename(&aside, path).map_err(io)?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|f| f.sync_all()).map_err(io)
    }

    /// Reads the file; `None` when there is none. Blocks. Errors: [`SnapshotError`].
    pub fn read(path: &Path) -> Result<Option<Snapshot>, SnapshotError> {
        let io = |source| SnapshotError::Io { path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io(e)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
        parse(&bytes).map(Some).map_err(|why| SnapshotError::Damaged { path: path.to_owned(), why })
    }
}

fn parse(bytes: &[u8]) -> Result<Snapshot, String> {
    let end = memchr::memchr(b'\n', bytes).ok_or("no header line")?;
    let (header, body) = (&bytes[..end], &bytes[end + 1..]);
    let expected = format!("{MAGIC} {:08x}", crc32c::crc32c(body));
    if header != expected.as_bytes() {
        let seen = String::from_utf8_lossy(&header[..header.len().min(40)]).into_owned();
        return Err(format!("the header is `{seen}` and should be `{expected}`: not ours, or damaged"));
    }
    serde_json::from_slice(body).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let stopped = CampaignState { id: 7, version: 3, serving: false, reasons: vec![Reason::TotalBudget] };
        Snapshot { log: "spool-1".into(), partition: 0, next: 9, whole: true, version: 3, campaigns: vec![stopped] }
    }

    #[test]
    fn a_snapshot_comes_back_and_replaces_its_predecessor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stop-list");
        assert_eq!(Snapshot::read(&path).unwrap(), None);
        Snapshot::default().write(&path).unwrap();
        snapshot().write(&path).unwrap();
        assert_eq!(Snapshot::read(&path).unwrap(), Some(snapshot()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn no_flipped_bit_and_no_cut_goes_unnoticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stop-list");
        snapshot().write(&path).unwrap();
        let good = fs::read(&path).unwrap();
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 4;
            assert!(parse(&bad).is_err(), "byte {i}");
            assert!(parse(&good[..i]).is_err(), "cut at {i}");
        }
    }
}
