//! Where each record goes, and how far each Kafka partition is known: the forwarder's file.
//!
//! The partition of a record is a function of its sequence and of how the topic was spread when its
//! range was begun: over how many partitions, and how many records in a row go to the same one. A
//! topic that grows is taken over at the end of a range, and that is on disk before the first record
//! goes by it, so a range that is met again after a crash finds its records where it had put them.

use penstock::log::{Offset, Range};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// So many sequences in a row go to the same partition. A range of a sidecar that is not busy has some
/// hundred records, and each partition that it touches costs a request, an append on each replica and a
/// fetch of each consumer: at 128 the brokers took twice the processor time of 4096. More would leave
/// partitions without work for long.
pub const STRIDE: u64 = 4_096;
/// Files of version 1 knew one stride, [`FIRST_STRIDE`]; the next range's end takes them over.
const VERSION: u32 = 2;
const FIRST_STRIDE: u64 = 128;

/// Why a plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not ours to guess: records would go elsewhere.
    #[error("{path}: {why}; it says where the records of the range under way were sent")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// How the records from a sequence on are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
struct Spread {
    from: Offset,
    /// Over so many partitions.
    count: u32,
    /// So many in a row go to the same one.
    stride: u64,
}

/// A [`Spread`] as it lies in the file.
#[derive(Serialize, Deserialize)]
struct Stored(Offset, u32, #[serde(default = "first_stride")] u64);

const fn first_stride() -> u64 {
    FIRST_STRIDE
}

impl From<Stored> for Spread {
    fn from(Stored(from, count, stride): Stored) -> Self {
        Spread { from, count, stride }
    }
}

impl From<Spread> for Stored {
    fn from(Spread { from, count, stride }: Spread) -> Self {
        Stored(from, count, stride)
    }
}

/// One topic of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Topic {
    name: String,
    /// Ascending; never empty.
    #[serde(rename = "counts")]
    spreads: Vec<Spread>,
    /// Per partition an offset below which nothing of a range that may still be asked for lies.
    bounds: Vec<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    spool: String,
    /// Ranges that begin before it were planned by a file that is lost.
    lost_until: Offset,
    topics: Vec<Topic>,
    /// Topic of each event type (`kafka.topics`) when the range under way was planned. Missing in
    /// files of earlier versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    mapping: BTreeMap<String, String>,
}

/// The plan of one spool partition.
#[derive(Debug)]
pub struct Plan {
    path: PathBuf,
    spool: u64,
    content: Content,
    /// Bounds that hold once the range under way is committed; by topic and partition.
    ahead: Vec<Vec<i64>>,
}

impl Plan {
    /// Reads the plan of spool `spool`; one without topics when there is no file.
    ///
    /// Errors: [`PlanError`].
    pub fn load(path: &Path, spool: u64) -> Result<Plan, PlanError> {
        let unusable = |why: String| PlanError::Unusable { path: path.to_owned(), why };
        let name = format!("{spool:016x}");
        let mut content = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice::<Content>(&bytes).map_err(|e| unusable(e.to_string()))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Content {
                version: VERSION,
                spool: name.clone(),
                lost_until: 0,
                topics: Vec::new(),
                mapping: BTreeMap::new(),
            },
            Err(source) => return Err(PlanError::Io { path: path.to_owned(), source }),
        };
        if !(1..=VERSION).contains(&content.version) || content.spool != name {
            let why = format!("version {} of spool {}, not {VERSION} of {name}", content.version, content.spool);
            return Err(unusable(why));
        }
        let is_empty = |t: &Topic| t.spreads.is_empty() || t.spreads.iter().any(|s| s.count == 0 || s.stride == 0);
        if content.topics.iter().any(is_empty) {
            return Err(unusable("a topic without partitions".to_owned()));
        }
        content.version = VERSION;
        let ahead = content.topics.iter().map(|t| t.bounds.clone()).collect();
        Ok(Plan { path: path.to_owned(), spool, content, ahead })
    }

    /// The event types whose topic is another one now: type, topic of the plan, topic now.
    #[must_use]
    pub fn moved(&self, now: &BTreeMap<String, String>) -> Vec<(String, String, String)> {
        let planned = self.content.mapping.iter();
        let moved = planned.filter_map(|(kind, topic)| {
            let now = now.get(kind).filter(|now| *now != topic)?;
            Some((kind.clone(), topic.clone(), now.clone()))
        });
        moved.collect()
    }

    /// Takes over where the types go now; true when that is new. Not on disk yet.
    pub fn map(&mut self, now: &BTreeMap<String, String>) -> bool {
        let new = self.content.mapping != *now;
        if new {
            self.content.mapping.clone_from(now);
        }
        new
    }

    /// Whether nothing was ever planned.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.content.topics.is_empty()
    }

    /// There was no file although ranges before `until` were begun: where they went is not known.
    pub fn lost(&mut self, until: Offset) {
        self.content.lost_until = until;
    }

    /// Whether the places of this range's records are not known.
    #[must_use]
    pub fn is_lost(&self, range: Range) -> bool {
        range.from < self.content.lost_until
    }

    /// How many partitions hold now; `None` for a topic that is not in the plan.
    #[must_use]
    pub fn count(&self, topic: &str) -> Option<u32> {
        self.spread(topic).map(|s| s.count)
    }

    /// Whether the topic is spread over at least so many partitions, and as this binary spreads.
    #[must_use]
    pub fn holds(&self, topic: &str, count: u32) -> bool {
        self.spread(topic).is_some_and(|s| s.count >= count && s.stride == STRIDE)
    }

    fn spread(&self, topic: &str) -> Option<&Spread> {
        self.content.topics.iter().find(|t| t.name == topic)?.spreads.last()
    }

    /// The place of a topic for [`partition`](Self::partition).
    #[must_use]
    pub fn index(&self, topic: &str) -> Option<usize> {
        self.content.topics.iter().position(|t| t.name == topic)
    }

    /// The name of the topic at `index`.
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        self.content.topics.get(index).map_or("", |t| t.name.as_str())
    }

    /// The partition that the record `sequence` goes to in the topic at `index`.
    #[must_use]
    pub fn partition(&self, index: usize, sequence: Offset) -> u32 {
        let spreads = self.content.topics.get(index).map_or(&[][..], |t| &t.spreads);
        let Some(spread) = spreads.iter().rev().find(|s| s.from <= sequence).or(spreads.first()) else { return 0 };
        // Spools begin at different partitions, or small ranges of all would meet in one.
        let partition = (sequence / spread.stride).wrapping_add(self.spool) % u64::from(spread.count);
        u32::try_from(partition).unwrap_or(0)
    }

    /// From sequence `from` on the topic has the partitions whose ends are given. Not on disk yet.
    pub fn adopt(&mut self, topic: &str, from: Offset, ends: Vec<i64>) {
        let spread = Spread { from, count: u32::try_from(ends.len()).unwrap_or(u32::MAX), stride: STRIDE };
        match self.index(topic) {
            Some(index) => {
                self.content.topics[index].spreads.push(spread);
                let known = self.ahead[index].len();
                for bounds in [&mut self.ahead[index], &mut self.content.topics[index].bounds] {
                    bounds.extend(ends.iter().skip(known));
                }
            }
            None => {
                self.ahead.push(ends.clone());
                self.content.topics.push(Topic { name: topic.to_owned(), spreads: vec![spread], bounds: ends });
            }
        }
    }

    /// Where the tail of a partition is read from at the latest; `None` when nothing was noted.
    #[must_use]
    pub fn bound(&self, index: usize, partition: u32) -> Option<i64> {
        self.content.topics.get(index)?.bounds.get(partition as usize).copied()
    }

    /// Everything of the range under way that went to the partition lies before `offset`.
    pub fn acknowledged(&mut self, index: usize, partition: u32, offset: i64) {
        if let Some(bound) = self.ahead.get_mut(index).and_then(|t| t.get_mut(partition as usize)) {
            *bound = offset.max(*bound);
        }
    }

    /// A range that begins at `from` is about to be written: everything before is committed, so
    /// its bounds hold, and spreads that only earlier ones used are forgotten.
    pub fn begin(&mut self, from: Offset) {
        for (topic, ahead) in self.content.topics.iter_mut().zip(&self.ahead) {
            topic.bounds.clone_from(ahead);
            let current = topic.spreads.iter().rposition(|s| s.from <= from).unwrap_or(0);
            topic.spreads.drain(..current);
        }
    }

    /// Puts the plan on disk, whole or not at all.
    ///
    /// Errors: [`PlanError::Io`]; the file before it stays.
    pub fn save(&self) -> Result<(), PlanError> {
        self.write().map_err(|source| PlanError::Io { path: self.path.clone(), source })
    }

    fn write(&self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let aside = self.path.with_extension("new");
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(&serde_json::to_vec(&self.content)?)?;
        file.sync_all()?;
        std::fs::rename(&aside, &self.path)?;
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan(dir: &Path) -> Plan {
        Plan::load(&dir.join("forward-0.json"), 7).unwrap()
    }

    #[test]
    fn a_growing_topic_moves_no_earlier_record_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut before = plan(dir.path());
        before.adopt("ads.click", 0, vec![0; 6]);
        let grown = 10 * STRIDE + 1_000;
        let places: Vec<u32> = (0..grown).map(|s| before.partition(0, s)).collect();
        before.adopt("ads.click", grown, vec![0; 12]);
        before.save().unwrap();
        let after = plan(dir.path());
        assert!((0..).zip(&places).all(|(s, place)| after.partition(0, s) == *place));
        let later: std::collections::BTreeSet<u32> =
            (grown..grown + 12 * STRIDE).map(|s| after.partition(0, s)).collect();
        assert_eq!(later, (0..12).collect());
        assert_eq!(after.count("ads.click"), Some(12));
    }

    #[test]
    fn a_file_of_the_first_version_is_gone_by_until_its_range_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let old = r#"{"version":1,"spool":"0000000000000007","lost_until":0,
            "topics":[{"name":"ads.click","counts":[[0,6],[1000,12]],"bounds":[0,0,0,0,0,0,0,0,0,0,0,0]}]}"#;
        std::fs::write(dir.path().join("forward-0.json"), old).unwrap();
        // As that version placed them: 128 in a row.
        let place = |s: u64| u32::try_from((s / 128 + 7) % if s < 1_000 { 6 } else { 12 }).unwrap();
        let mut taken = plan(dir.path());
        assert!(!taken.holds("ads.click", 12), "it is to be taken over");
        taken.adopt("ads.click", 5_000, vec![0; 12]);
        assert!(taken.holds("ads.click", 12) && !taken.holds("ads.click", 13));
        taken.save().unwrap();
        let mut again = plan(dir.path());
        assert!((0..5_000).all(|s| again.partition(0, s) == place(s)));
        again.begin(5_000);
        let row = 2 * STRIDE..3 * STRIDE;
        assert!(row.clone().all(|s| again.partition(0, s) == again.partition(0, row.start)));
        let newer = format!(r#"{{"version":{},"spool":"0000000000000007","lost_until":0,"topics":[]}}"#, VERSION + 1);
        std::fs::write(dir.path().join("forward-0.json"), newer).unwrap();
        assert!(matches!(Plan::load(&dir.path().join("forward-0.json"), 7), Err(PlanError::Unusable { .. })));
    }

    #[test]
    fn a_bound_holds_only_once_its_range_is_committed() {
        let dir = tempfile::tempdir().unwrap();
        let mut plan = plan(dir.path());
        plan.adopt("ads.click", 0, vec![10, 20]);
        plan.acknowledged(0, 1, 25);
        assert_eq!(plan.bound(0, 1), Some(20), "the range of these records may be asked for again");
        plan.begin(100);
        assert_eq!((plan.bound(0, 0), plan.bound(0, 1), plan.bound(0, 2)), (Some(10), Some(25), None));
    }

    #[test]
    fn a_damaged_or_foreign_file_is_an_error_and_a_missing_one_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("forward-0.json");
        assert!(Plan::load(&path, 7).unwrap().is_new());
        plan(dir.path()).save().unwrap();
        assert!(matches!(Plan::load(&path, 8), Err(PlanError::Unusable { .. })));
        std::fs::write(&path, b"{\"version\":1").unwrap();
        assert!(matches!(Plan::load(&path, 7), Err(PlanError::Unusable { .. })));
    }

    #[test]
    fn a_type_that_goes_elsewhere_is_seen_after_a_restart_and_a_new_type_is_none() {
        let mapping = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, t)| ((*k).to_owned(), (*t).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let dir = tempfile::tempdir().unwrap();
        let mut before = plan(dir.path());
        assert!(before.map(&mapping(&[("click", "ads.click"), ("visit", "ads.visit")])));
        before.save().unwrap();
        let mut after = plan(dir.path());
        assert!(!after.map(&mapping(&[("click", "ads.click"), ("visit", "ads.visit")])));
        assert!(
            after.moved(&mapping(&[("click", "ads.click"), ("visit", "ads.visit"), ("page", "ads.page")])).is_empty()
        );
        let moved = after.moved(&mapping(&[("click", "ads.all"), ("visit", "ads.visit")]));
        assert_eq!(moved, [("click".to_owned(), "ads.click".to_owned(), "ads.all".to_owned())]);
        let old = r#"{"version":1,"spool":"0000000000000007","lost_until":0,"topics":[]}"#;
        std::fs::write(dir.path().join("forward-0.json"), old).unwrap();
        assert!(plan(dir.path()).moved(&mapping(&[("click", "ads.all")])).is_empty(), "a file of an earlier version");
    }

    proptest! {
        #[test]
        fn partitions_lie_within_the_count_that_holds(grow in proptest::collection::vec((1u64..10_000, 1u32..50), 1..5), spool: u64, sequence in 0u64..60_000) {
            let dir = tempfile::tempdir().unwrap();
            let mut plan = Plan::load(&dir.path().join("p"), spool).unwrap();
            let (mut from, mut count, mut holds) = (0, 0, 0);
            for (step, more) in grow {
                count += more;
                plan.adopt("t", from, vec![0; count as usize]);
                if from <= sequence { holds = count }
                from += step;
            }
            prop_assert!(plan.partition(0, sequence) < holds);
            let place = plan.partition(0, sequence);
            plan.begin(sequence);
            prop_assert_eq!(plan.partition(0, sequence), place);
        }
    }
}
