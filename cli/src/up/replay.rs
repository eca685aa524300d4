//! Dead letters' records go back into the spool through the sidecar's workers.

use super::pipelines::SINKS;
use penstock::log::spool::Spool;
use penstock::log::{Limits, Log as _, LogError, LogId, Offset, Records};
use penstock_consumers::dead::marks::Place;
use penstock_consumers::dead::replay::{Landed, Landing, OnItsWay, Target, TargetError};
use penstock_sidecar::intake::insert::{InsertError, Inserted, Inserter};
use std::collections::HashMap;
use std::time::Duration;

/// Records that are read in one go while a replay is looked for.
const ROWS: usize = 10_000;

/// The events' spool.
pub struct SpoolReplay {
    pub events: Spool,
    pub inserter: Inserter,
}

impl SpoolReplay {
    /// Looks for `wanted` records in one partition from `floor` on. Their bytes hold an id and the
    /// time of receipt, so they are those of no other but one that was sent twice in a request.
    ///
    /// Errors: retention has passed the floor; the spool cannot be read.
    async fn look(
        &self,
        partition: u32,
        floor: Offset,
        wanted: &mut HashMap<&[u8], Vec<usize>>,
        found: &mut HashMap<usize, Inserted>,
    ) -> Result<(), String> {
        let marks = self.events.watermarks(partition).map_err(|e| e.to_string())?;
        let end = marks.written();
        marks.wait_synced(end).await.map_err(|e| e.to_string())?;
        let mut log = self.events.viewer(partition).map_err(|e| e.to_string())?;
        let (mut next, mut records) = (floor, Records::new());
        let limits = Limits { rows: ROWS, bytes: 8 << 20, age: Duration::ZERO, idle: Duration::ZERO, end: Some(end) };
        while next < end {
            match log.read(next, &limits, &mut records).await {
                Ok(_) => {}
                Err(LogError::Gap { start, .. }) => {
                    return Err(format!(
                        "everybody has read past it and its place is gone (partition {partition} starts at {start}); look for the event's id in the statistics"
                    ));
                }
                Err(error) => return Err(error.to_string()),
            }
            let Some(range) = records.range() else { break };
            for record in records.iter() {
                if let Some(index) = record.body.ok().and_then(|body| wanted.get_mut(body)?.pop()) {
                    found.insert(index, Inserted { partition, offset: record.offset });
                }
            }
            next = range.to;
        }
        Ok(())
    }

    fn landed(&self, inserted: Inserted) -> Landed {
        let Inserted { partition, offset } = inserted;
        Landed { log: self.events.log_name().to_string(), partition, offset: Some(offset) }
    }
}

impl Target for SpoolReplay {
    fn readers(&self, _log: &LogId) -> Vec<&'static str> {
        SINKS.to_vec()
    }

    /// The data folder has one process, and it replays one call at a time: what was begun earlier
    /// is nobody's any more.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    async fn landing(&self, _place: &Place, _body: &[u8]) -> Result<Landing, TargetError> {
        let partitions = self.events.usage().partitions;
        let floors = partitions.iter().map(|p| (p.partition, p.written)).collect();
        Ok(Landing { log: self.events.log_name().to_string(), floors })
    }

    async fn find(&self, sought: &[OnItsWay<'_>]) -> Vec<Result<Option<Landed>, TargetError>> {
        let mut wanted: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (index, record) in sought.iter().enumerate() {
            wanted.entry(record.body).or_default().push(index);
        }
        let mut floors: HashMap<u32, Offset> = HashMap::new();
        for (partition, floor) in sought.iter().flat_map(|record| &record.begun.floors) {
            floors.entry(*partition).and_modify(|f| *f = (*f).min(*floor)).or_insert(*floor);
        }
        let (mut found, mut failed) = (HashMap::new(), None);
        for (partition, floor) in floors {
            if let Err(why) = self.look(partition, floor, &mut wanted, &mut found).await {
                failed = Some(why);
            }
        }
        let answer = |index: usize| match (found.get(&index), &failed) {
            (Some(inserted), _) => Ok(Some(self.landed(*inserted))),
            (None, None) => Ok(None),
            (None, Some(why)) => Err(TargetError::Unknown(format!("whether it was appended cannot be told: {why}"))),
        };
        (0..sought.len()).map(answer).collect()
    }

    async fn append(&self, records: &[OnItsWay<'_>]) -> Vec<Result<Landed, TargetError>> {
        let insert = async |record: &OnItsWay<'_>| {
            let Place { log, offset } = record.place;
            let whom = record.begun.sink.as_deref().map(|sink| format!(" to {sink}")).unwrap_or_default();
            let key = format!("replay of {log}:{offset}{whom}");
            match self.inserter.insert(key.as_bytes(), record.body).await {
                Ok(inserted) => Ok(self.landed(inserted)),
                Err(InsertError::Refused(why)) => Err(TargetError::Refused(why)),
                Err(InsertError::Unknown(why)) => Err(TargetError::Unknown(why)),
            }
        };
        futures::future::join_all(records.iter().map(insert)).await
    }
}
