//! Whether anything of a range was ever written: asked once, when a gap in front of it is passed.
//!
//! Walks the whole archive, since a range's events may be of any hour.

use super::hour;
use super::marks;
use super::store::{ArchiveStore, StoreError};
use penstock::log::{LogId, Range};

impl ArchiveStore {
    /// Whether a file of this range is there, or was taken by a compaction. Errors: [`StoreError`].
    pub(super) async fn has_files_of(&self, log: &LogId, range: Range) -> Result<bool, StoreError> {
        if self.length(&marks::blank(log, range)).await?.is_some() {
            return Ok(true);
        }
        for day in hour::days(self, None).await?.days {
            let (hours, _foreign) = hour::hours(self, &day).await?;
            for ((kind, hour), listed) in hours {
                let found = hour::sort(self, &kind, hour, listed).await?;
                let taken = found.manifest.iter().flat_map(|(m, _)| m.taken.iter().filter_map(|t| m.name(t)));
                let names = found.files.iter().map(|(name, _)| name.clone());
                if names.chain(taken).any(|name| name.log == *log && name.range == range) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
