//! Reads all of the archive and says what is wrong with it.
//!
//! Every file is read to its last datum and held against its name, its header and its hour's
//! manifest; then all ranges of a partition against each other: none overlap, none is missing
//! between two others, and each has as many records over all hours and types as its files say.

use super::compact::plan::{Places, batches};
use super::content::Content;
use super::hour::{self, Hour};
use super::manifest::{Manifest, Part};
use super::marks;
use super::name::{FileName, hour_folder};
use super::store::{ArchiveStore, Found, StoreError};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use penstock::log::{LogId, Offset, Range};
use serde::Serialize;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// Most faults that are listed one by one.
const LISTED: usize = 1_000;
/// Files that are read at the same time.
const AT_ONCE: usize = 4;
/// How often an hour is looked at whose files go.
const LOOKS: usize = 5;

/// What part of the archive is read.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// This hour alone, counted from the epoch in UTC. Ranges are then not held against each other.
    pub hour: Option<i64>,
    /// This type alone; the same.
    pub kind: Option<String>,
}

/// What was read, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Hours of types.
    pub hours: u64,
    /// Avro files that count.
    pub files: u64,
    /// Parquet files that count.
    pub parts: u64,
    /// Records in both.
    pub records: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// Avro files that were compacted and are still there; they do not count.
    pub taken: u64,
    /// Parquet files, manifests and claims that do not count (not yet, or not any more).
    pub idle: u64,
    /// Temporary names of writes under way or cut off.
    pub leftovers: u64,
    /// Newest ranges of a partition that are not whole yet: they are being written.
    pub under_way: u64,
    /// What is wrong; at most 1000.
    pub faults: Vec<Fault>,
    /// How many there are, listed or not.
    pub fault_count: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// `damaged`, `manifest`, `overlap`, `gap`, `missing`, `foreign`.
    pub code: &'static str,
    /// A path below the archive's root, or a partition with a range.
    pub at: String,
    /// What is wrong.
    pub why: String,
}

impl Report {
    fn fault(&mut self, code: &'static str, at: impl Into<String>, why: impl ToString) {
        self.fault_count += 1;
        if self.faults.len() < LISTED {
            self.faults.push(Fault { code, at: at.into(), why: why.to_string() });
        }
    }
}

/// Records that were found of a range, and how many it should have.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    records: u64,
    of: Option<u64>,
    /// A file did not say how many the range has, or two said different numbers.
    unclear: bool,
}

/// What all hours say of the ranges.
#[derive(Default)]
struct Ranges(BTreeMap<LogId, BTreeMap<(Offset, Offset), Sum>>);

impl Ranges {
    fn add(&mut self, name: &FileName, records: u64, of: u64) {
        let ranges = self.0.entry(name.log.clone()).or_default();
        let sum = ranges.entry((name.range.from, name.range.to)).or_default();
        sum.records = sum.records.saturating_add(records);
        sum.unclear |= of == 0 || sum.of.is_some_and(|before| before != of);
        sum.of = Some(of);
    }
}

/// Verifies the archive, or a part of it.
///
/// Errors: [`StoreError`] when something cannot be listed or does not answer: nothing is said then.
pub async fn verify(store: &ArchiveStore, scope: &Scope) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let mut ranges = Ranges::default();
    let days = hour::days(store, scope.kind.as_deref()).await?;
    let foreign = |report: &mut Report, files: Vec<Found>| {
        files.into_iter().for_each(|f| report.fault("foreign", f.path, "no archive writes such a file"));
    };
    let whole = scope.hour.is_none() && scope.kind.is_none();
    if whole {
        foreign(&mut report, days.foreign);
    }
    for day in days.days {
        if scope.hour.is_some_and(|hour| !hour_folder("", hour).trim_start_matches('/').starts_with(date(&day))) {
            continue;
        }
        let (hours, beside) = hour::hours(store, &day).await?;
        if whole {
            foreign(&mut report, beside);
        }
        for ((kind, at), listed) in hours {
            if scope.hour.is_some_and(|hour| hour != at) {
                continue;
            }
            let mut state = hour::sort(store, &kind, at, listed).await?;
            for look in 1.. {
                let (mut found, mut sums) = (Report::default(), Vec::new());
                if verify_hour(store, &state, &mut found, &mut sums, look < LOOKS).await? {
                    report.take(found);
                    sums.iter().for_each(|(name, records, of)| ranges.add(name, *records, *of));
                    break;
                }
                state = hour::look(store, &kind, at).await?; // compacted meanwhile
            }
        }
    }
    if whole {
        verify_ranges(ranges, blanks(store).await?, &mut report);
    }
    Ok(report)
}

/// `year=…/month=…/day=…` of a day's folder.
fn date(day: &str) -> &str {
    day.split_once('/').map_or(day, |(_, date)| date)
}

impl Report {
    fn take(&mut self, hour: Report) {
        self.hours += 1;
        self.files += hour.files;
        self.parts += hour.parts;
        self.records += hour.records;
        self.bytes += hour.bytes;
        self.taken += hour.taken;
        self.idle += hour.idle;
        self.leftovers += hour.leftovers;
        self.fault_count += hour.fault_count;
        self.faults.extend(hour.faults.into_iter().take(LISTED.saturating_sub(self.faults.len())));
    }
}

/// Reads all of an hour; `false` when a file of it is gone and `again` allows another look.
async fn verify_hour(
    store: &ArchiveStore,
    state: &Hour,
    report: &mut Report,
    sums: &mut Vec<(FileName, u64, u64)>,
    again: bool,
) -> Result<bool, StoreError> {
    report.taken = state.taken.len() as u64;
    report.idle = (state.dead.len() + state.unborn.len()) as u64;
    report.leftovers = state.leftovers.len() as u64;
    for found in &state.foreign {
        report.fault("foreign", &found.path, "no archive writes such a file");
    }
    if let Some((path, why)) = &state.unreadable {
        report.fault("manifest", path, why);
        return Ok(true);
    }
    let mut reads = stream::iter(&state.files)
        .map(|(name, found)| async move { (store.read(&found.path).await, name.clone(), found) })
        .buffered(AT_ONCE);
    while let Some((read, name, found)) = reads.next().await {
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() && again => return Ok(false),
            Err(error) if !error.is_not_found() => return Err(error),
            Err(error) => {
                report.fault("missing", &found.path, error);
                continue;
            }
        };
        report.files += 1;
        report.bytes += bytes.len() as u64;
        let read = move || Content::read(&bytes, &name).map(|c| (c.len() as u64, c.range_records, name));
        match blocking(read).await {
            Ok((records, of, name)) => {
                report.records += records;
                sums.push((name, records, of));
            }
            Err(error) => report.fault("damaged", &found.path, error),
        }
    }
    let Some((manifest, _)) = &state.manifest else { return Ok(true) };
    let mut rows: BTreeMap<LogId, BTreeMap<Offset, Offset>> = BTreeMap::new();
    for part in &manifest.files {
        let path = format!("{}/{}", state.folder(), part.file);
        let bytes = match store.read(&path).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() && again => return Ok(false),
            Err(error) if !error.is_not_found() => return Err(error),
            Err(_) => {
                report.fault("missing", path, "the manifest's part is not there");
                continue;
            }
        };
        report.parts += 1;
        report.bytes += bytes.len() as u64;
        let part = part.clone();
        match blocking(move || read_part(&part, bytes)).await {
            Ok(stretches) => {
                for (log, range) in stretches {
                    if rows.entry(log.clone()).or_default().insert(range.from, range.to).is_some() {
                        report.fault("manifest", &path, format!("{log} offset {} stands in two rows", range.from));
                    }
                }
            }
            Err(why) => report.fault("damaged", path, why),
        }
    }
    verify_manifest(manifest, &rows, report, sums);
    Ok(true)
}

/// Runs what computes where that is allowed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// The offsets of a part's rows, as ranges without gaps, in the order of the rows.
fn read_part(part: &Part, bytes: Bytes) -> Result<Vec<(LogId, Range)>, String> {
    if bytes.len() as u64 != part.bytes || format!("{:016x}", xxh3_64(&bytes)) != part.xxh3 {
        return Err("its bytes are not those that the manifest says".to_owned());
    }
    let mut found: Vec<(LogId, Range)> = Vec::new();
    let mut rows = 0;
    for batch in batches(bytes).map_err(|e| e.to_string())? {
        let batch = batch.map_err(|e| e.to_string())?;
        let places = Places::of(&batch).ok_or("it does not say where its rows stood")?;
        let mut row = 0;
        for (log, _, end) in places.stretches() {
            if found.last().is_some_and(|(last, range)| (last, range.to) > (&log, places.offset(row))) {
                return Err(format!("its rows are not in order at {log} offset {}", places.offset(row)));
            }
            for row in row..end {
                let offset = places.offset(row);
                match found.last_mut() {
                    Some((last, range)) if *last == log && range.to == offset => range.to += 1,
                    _ => found.push((log.clone(), Range { from: offset, to: offset + 1 })),
                }
            }
            row = end;
        }
        rows += batch.num_rows() as u64;
    }
    if rows == part.rows { Ok(found) } else { Err(format!("it has {rows} rows, the manifest says {}", part.rows)) }
}

/// Holds the rows of all parts against the files that they were made of.
fn verify_manifest(
    manifest: &Manifest,
    rows: &BTreeMap<LogId, BTreeMap<Offset, Offset>>,
    report: &mut Report,
    sums: &mut Vec<(FileName, u64, u64)>,
) {
    let mut wanted: BTreeMap<(LogId, Range), u64> = BTreeMap::new();
    for taken in &manifest.taken {
        let Some(name) = manifest.name(taken) else { continue };
        report.records += taken.records;
        *wanted.entry((name.log.clone(), name.range)).or_default() += taken.records;
        sums.push((name, taken.records, taken.range_records));
    }
    let mut of_files = 0u64;
    for ((log, range), records) in wanted {
        let found = rows.get(&log).map_or(0, |rows| within(rows, range));
        of_files = of_files.saturating_add(found);
        if found != records {
            let why = format!("the manifest took {records} records of it, the parts have {found}");
            report.fault("manifest", format!("{} {log} {range}", manifest.path()), why);
        }
    }
    let all: u64 = rows.values().flatten().map(|(from, to)| to - from).sum();
    if all > of_files {
        report.fault("manifest", manifest.path(), format!("{} rows are of no range that it took", all - of_files));
    }
}

/// How many offsets of the stretches lie in the range.
fn within(stretches: &BTreeMap<Offset, Offset>, range: Range) -> u64 {
    let first = stretches.range(..=range.from).next_back().map_or(range.from, |(from, _)| *from);
    let overlaps = stretches
        .range(first..range.to)
        .map(|(from, to)| Range { from: (*from).max(range.from), to: (*to).min(range.to) }.len());
    overlaps.sum()
}

/// The ranges that held nothing but poison.
async fn blanks(store: &ArchiveStore) -> Result<Vec<(LogId, Range)>, StoreError> {
    Ok(store.list(marks::BLANKS).await?.iter().filter_map(|found| marks::parse_blank(&found.path)).collect())
}

fn verify_ranges(mut ranges: Ranges, blanks: Vec<(LogId, Range)>, report: &mut Report) {
    for (log, range) in blanks {
        ranges.0.entry(log).or_default().entry((range.from, range.to)).or_insert(Sum { of: Some(0), ..Sum::default() });
    }
    for (log, ranges) in ranges.0 {
        let last = ranges.keys().next_back().copied();
        let mut behind: Option<Offset> = None;
        for ((from, to), sum) in ranges {
            let range = Range { from, to };
            match behind {
                Some(behind) if from < behind => {
                    report.fault(
                        "overlap",
                        format!("{log} {range}"),
                        format!("offsets below {behind} are in another range"),
                    );
                }
                Some(behind) if from > behind => {
                    let why = "no file and no mark says what became of these offsets";
                    report.fault("gap", format!("{log} {}", Range { from: behind, to: from }), why);
                }
                _ => {}
            }
            behind = Some(behind.map_or(to, |behind| behind.max(to)));
            match sum.of {
                Some(of) if !sum.unclear && sum.records < of && last == Some((from, to)) => report.under_way += 1,
                Some(of) if !sum.unclear && sum.records != of => {
                    let why = format!("its files say {of} records, {} are there", sum.records);
                    report.fault("missing", format!("{log} {range}"), why);
                }
                _ => {}
            }
        }
    }
}
