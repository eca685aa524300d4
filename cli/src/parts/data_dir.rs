//! The data folder: everything a machine keeps, owned by one process at a time.

use anyhow::{Context, bail};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The folder, locked as long as this lives.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the folder (mode 0700, for its owner alone) when it is not there, and locks it.
    ///
    /// Errors: it cannot be made or written, or another process runs on it.
    pub fn open(root: &Path) -> anyhow::Result<DataDir> {
        let shown = root.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .with_context(|| format!("cannot make the data folder {shown}"))?;
        let path = root.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot write in the data folder {shown}"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another penstock runs on the data folder {shown}; stop it first, or give another folder with --data"
            ),
            Err(TryLockError::Error(e)) => return Err(e).with_context(|| format!("cannot lock {}", path.display())),
        }
        let root = root.canonicalize().with_context(|| format!("cannot find the data folder {shown} again"))?;
        Ok(DataDir { root, _lock: lock })
    }

    /// The spool called `name`.
    pub fn spool(&self, name: &str) -> PathBuf {
        self.root.join("spool").join(name)
    }

    /// The SQLite ledger.
    pub fn ledger(&self) -> PathBuf {
        self.root.join("ledger.db")
    }

    /// The ClickHouse engine's tables.
    pub fn engine(&self) -> PathBuf {
        self.root.join("clickhouse")
    }

    /// The archive's files, unless configured elsewhere.
    pub fn archive(&self) -> PathBuf {
        self.root.join("archive")
    }

    /// The stop list over restarts.
    pub fn stop_list(&self) -> PathBuf {
        self.root.join("stop-list")
    }

    /// The token of this machine's own commands.
    pub fn panel_token(&self) -> PathBuf {
        panel_token(&self.root)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Where a running `penstock up` keeps its commands' token, in its data folder.
pub fn panel_token(root: &Path) -> PathBuf {
    root.join("panel.token")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_data_folder_is_for_its_owner_and_for_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let first = DataDir::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let second = DataDir::open(&path).unwrap_err().to_string();
        assert!(second.contains("another penstock runs"), "{second}");
        drop(first);
        assert!(DataDir::open(&path).is_ok());
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataDir::open(file.path()).unwrap_err().to_string();
        assert!(error.contains(&file.path().display().to_string()), "{error}");
    }
}
