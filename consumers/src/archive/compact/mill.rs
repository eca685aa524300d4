//! The computing half of a compaction: files become rows, rows become parts.

use super::super::content::Content;
use super::super::manifest::Taken;
use super::super::name::FileName;
use super::super::store::Found;
use super::CompactError;
use super::columns::{Finished, Parts, Rows};
use super::plan::{Run, Source};
use penstock::codec::frame;
use penstock::log::{LogId, Records};
use penstock::time::Micros;

/// Where records become rows and rows become parts. It computes for seconds, so it does that where
/// blocking is allowed, and goes back and forth.
pub(super) struct Mill {
    pub rows: Rows,
    pub parts: Parts,
}

/// What came out of one run.
#[derive(Default)]
pub(super) struct Ground {
    pub taken: Vec<Taken>,
    pub bytes: u64,
    pub left: Vec<(String, String)>,
    pub finished: Vec<Finished>,
}

pub(super) async fn ground(
    mut mill: Mill,
    run: Run,
    fetched: Vec<bytes::Bytes>,
) -> Result<(Mill, Ground), CompactError> {
    let grind = move || {
        let ground = mill.grind(&run, &fetched)?;
        Ok((mill, ground))
    };
    tokio::task::spawn_blocking(grind).await.map_err(|e| CompactError::Internal(e.to_string()))?
}

impl Mill {
    fn grind(&mut self, run: &Run, fetched: &[bytes::Bytes]) -> Result<Ground, CompactError> {
        let mut ground = Ground::default();
        let batch = match &run.from {
            Source::Rows(batch) => Some(batch.clone()),
            Source::Files(files) => self.read(&run.log, files, fetched, &mut ground)?,
        };
        if let Some(batch) = batch {
            ground.finished.extend(self.parts.push(&batch)?);
        }
        Ok(ground)
    }

    /// The rows of a range's files, by offset. A file that cannot be read is left as it is.
    fn read(
        &mut self,
        log: &LogId,
        files: &[(FileName, Found)],
        fetched: &[bytes::Bytes],
        ground: &mut Ground,
    ) -> Result<Option<arrow::array::RecordBatch>, CompactError> {
        let mut contents = Vec::new();
        for ((name, found), bytes) in files.iter().zip(fetched) {
            let content = match Content::read(bytes, name) {
                Ok(content) if content.numbered() => content,
                Ok(_) => {
                    let why = "an earlier version wrote it, which did not keep its records' offsets";
                    ground.left.push((found.path.clone(), why.to_owned()));
                    continue;
                }
                Err(error) => {
                    ground.left.push((found.path.clone(), error.to_string()));
                    continue;
                }
            };
            ground.bytes += found.size;
            ground.taken.push(Taken {
                file: found.path.rsplit('/').next().unwrap_or(&found.path).to_owned(),
                records: content.len() as u64,
                range_records: content.range_records,
                digest: format!("{:016x}", content.digest),
            });
            contents.push(content);
        }
        if contents.is_empty() {
            return Ok(None);
        }
        let mut all: Vec<_> =
            contents.iter().flat_map(|c| c.records().map(|(offset, datum)| (offset, c.schema, datum))).collect();
        all.sort_by_key(|(offset, ..)| *offset);
        if let Some(twice) = all.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(CompactError::Rows(format!("{log} offset {} is in two files of its range", twice[0].0)));
        }
        let (mut records, mut body) = (Records::new(), Vec::new());
        for (offset, schema, datum) in all {
            frame::join(schema, datum, &mut body);
            records.push(offset, Micros(0), &body);
        }
        self.rows.decode(log, &records).map(Some)
    }
}
