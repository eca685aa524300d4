//! Which ids are known, in memory and in a file beside the spool or the consumer's state.
//!
//! An id never changes its schema, so what was learned once holds for ever. The file is what lets a
//! process that starts while the registry is away go on as it did before.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Most ids that are remembered; a registry has some dozens of those that stand in our topics.
const MAX_IDS: usize = 10_000;
const VERSION: u32 = 1;

/// What is known of a registry.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Ids {
    version: u32,
    /// Base URLs under which this was learned: another registry has other ids.
    urls: Vec<String>,
    /// Id → fingerprint of its schema, ours or not.
    by_id: BTreeMap<u32, u64>,
    /// Fingerprint of a schema of ours → the id that new records get.
    ours: BTreeMap<u64, u32>,
}

/// An id that named another schema before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("id {id} is schema {now:016x} to it, and was {before:016x}")]
pub(super) struct Conflict {
    pub id: u32,
    pub before: u64,
    pub now: u64,
}

impl Ids {
    pub fn new(urls: &[String]) -> Ids {
        Ids { version: VERSION, urls: urls.to_vec(), ..Ids::default() }
    }

    /// What the file holds, if it is of this registry; it is a memory and no truth, so one that
    /// cannot be read is left out with a warning.
    pub fn load(file: &Path, urls: &[String]) -> Ids {
        let text = match fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ids::new(urls),
            Err(error) => {
                tracing::warn!(%error, file = %file.display(), "the known schema ids cannot be read");
                return Ids::new(urls);
            }
        };
        match serde_json::from_slice::<Ids>(&text) {
            Ok(ids) if ids.version == VERSION && ids.urls.iter().any(|url| urls.contains(url)) => {
                Ids { urls: urls.to_vec(), ..ids }
            }
            Ok(_) => {
                tracing::warn!(file = %file.display(), "the known schema ids are of another registry, and are left out");
                Ids::new(urls)
            }
            Err(error) => {
                tracing::warn!(%error, file = %file.display(), "the known schema ids cannot be read");
                Ids::new(urls)
            }
        }
    }

    /// Writes the file aside, syncs and renames it.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        let aside: PathBuf = file.with_extension("tmp");
        let mut out = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&aside)?;
        out.write_all(&serde_json::to_vec(self)?)?;
        out.sync_all()?;
        fs::rename(&aside, file)?;
        match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }

    pub fn id_of(&self, fingerprint: u64) -> Option<u32> {
        self.ours.get(&fingerprint).copied()
    }

    pub fn known(&self, id: u32) -> Option<u64> {
        self.by_id.get(&id).copied()
    }

    /// Remembers whose an id is; whether that is news.
    pub fn learn(&mut self, id: u32, fingerprint: u64) -> Result<bool, Conflict> {
        match self.by_id.get(&id) {
            Some(before) if *before != fingerprint => Err(Conflict { id, before: *before, now: fingerprint }),
            Some(_) => Ok(false),
            None if self.by_id.len() >= MAX_IDS => Ok(false),
            None => {
                self.by_id.insert(id, fingerprint);
                Ok(true)
            }
        }
    }

    /// Remembers under which id a schema of ours is written; whether that is news.
    pub fn register(&mut self, id: u32, fingerprint: u64) -> Result<bool, Conflict> {
        let news = self.learn(id, fingerprint)?;
        Ok(self.ours.insert(fingerprint, id) != Some(id) || news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls() -> Vec<String> {
        vec!["http://a".to_owned(), "http://b".to_owned()]
    }

    #[test]
    fn what_was_learned_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ids.json");
        let mut ids = Ids::load(&file, &urls());
        assert_eq!(ids.register(7, u64::MAX), Ok(true));
        assert_eq!(ids.register(7, u64::MAX), Ok(false));
        assert_eq!(ids.learn(8, 3), Ok(true));
        ids.save(&file).unwrap();
        let again = Ids::load(&file, &urls());
        assert_eq!(again, ids);
        assert_eq!((again.id_of(u64::MAX), again.known(8), again.id_of(3)), (Some(7), Some(3), None));
        // Reached under one of the same URLs, it is the same registry.
        assert_eq!(Ids::load(&file, &urls()[1..]).known(8), Some(3));
        assert_eq!(Ids::load(&file, &["http://c".to_owned()]).known(8), None);
        fs::write(&file, b"{\"version\":").unwrap();
        assert_eq!(Ids::load(&file, &urls()), Ids::new(&urls()));
    }

    #[test]
    fn an_id_never_becomes_another_schema() {
        let mut ids = Ids::new(&urls());
        ids.register(7, 1).unwrap();
        assert_eq!(ids.learn(7, 2), Err(Conflict { id: 7, before: 1, now: 2 }));
        assert!(ids.register(7, 2).is_err());
        assert_eq!((ids.known(7), ids.id_of(1), ids.id_of(2)), (Some(1), Some(7), None));
        // A registry that gives a schema anew: records of both ids are read.
        ids.register(9, 1).unwrap();
        assert_eq!((ids.known(7), ids.known(9), ids.id_of(1)), (Some(1), Some(1), Some(9)));
    }
}
