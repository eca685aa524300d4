//! Removes segments that every registered reader has passed.
//!
//! Idempotency keys of a segment that are still valid are written into `BASE.keys` first, so a
//! repeat is recognised also after its group is gone.

use super::disk::{Disk, DiskFile, Open};
use super::error::{FileError, at};
use super::format::{array, i64_at, u32_at, u64_at};
use super::keys::{Answer, Keys};
use super::partition::{Partition, locked};
use super::segment::Segment;
use crate::log::{Offset, Range};
use crate::time::Micros;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const KEYS_MAGIC: &[u8; 8] = b"PNSTKEY1";
/// Length, checksum, key, body hash, time, range.
const ENTRY: usize = 8 + 16 + 16 + 8 + 8 + 8;

/// How long records and idempotency keys are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long an idempotency key is remembered. Default 10 min.
    pub keys_window: Duration,
    /// Most keys remembered or under way at once. Default 1 000 000.
    pub max_keys: usize,
    /// Most bytes of answers remembered at once. Default 256 MiB.
    pub max_answer_bytes: usize,
    /// Segments younger than this stay although every reader has passed them. Default zero.
    pub min_age: Duration,
    /// Segments older than this go although readers still want them; those then meet a gap.
    /// Default none: nothing unread is ever removed, and nothing at all without a reader.
    pub max_age: Option<Duration>,
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            keys_window: Duration::from_secs(600),
            max_keys: 1_000_000,
            max_answer_bytes: 256 << 20,
            min_age: Duration::ZERO,
            max_age: None,
        }
    }
}

impl Retention {
    /// For a spool behind HTTP intake.
    #[must_use]
    pub fn of_intake(intake: &crate::settings::IntakeSettings) -> Self {
        let (keys_window, max_keys) = (intake.idempotency_window, intake.idempotency_max_keys);
        Retention { keys_window, max_keys, ..Retention::default() }
    }
}

/// Removes what may go from one partition; returns how many segments went.
pub(super) fn retain<D: Disk>(
    part: &Partition<D>,
    keys: &Keys,
    retention: &Retention,
    now: Micros,
) -> Result<usize, FileError> {
    let _one_at_a_time = locked(&part.retaining);
    let passed = part.readers.slowest();
    let mut removed = 0;
    let segments = part.segments();
    for (segment, next) in segments.iter().zip(segments.iter().skip(1)) {
        // Never an unsynced one: its successor's first offset must be durable knowledge first.
        let synced = next.base <= part.marks.synced();
        let read = passed.is_some_and(|p| p >= next.base) && older(segment, retention.min_age, now);
        let old = retention.max_age.is_some_and(|age| older(segment, age, now));
        if !synced || !(read || old) || next.synced() == 0 {
            break;
        }
        fold_keys(part, keys, segment)?;
        if !part.pop_segment(segment) {
            break;
        }
        // One by one and in order: what a failure or a power cut leaves begins later, but never has
        // a hole.
        if let Err(e) = part.disk.remove(&segment.path) {
            part.unpop_segment(segment.clone());
            return Err(at("remove", &segment.path)(e));
        }
        part.space.give(segment.written());
        part.counters.removed.inc();
        removed += 1;
        part.disk.sync_dir(part.dir()).map_err(at("sync", part.dir()))?;
    }
    if let Some(last) = part.last() {
        let read_out = passed.is_some_and(|p| p >= part.marks.written()) && older(&last, retention.min_age, now);
        let old = retention.max_age.is_some_and(|age| older(&last, age, now));
        let holds = part.marks.written() > last.base;
        // Full, and only the writer's segment is left to give: have it begin a new one.
        let pressed = part.space.full.load(Ordering::Relaxed);
        part.seal_wanted.store(holds && ((read_out && pressed) || old), Ordering::Release);
    }
    expire_files(part, keys, now)?;
    Ok(removed)
}

fn older<F: DiskFile>(segment: &Segment<F>, age: Duration, now: Micros) -> bool {
    age.is_zero() || segment.newest().plus(age) <= now
}

/// Writes the segment's valid keys into `BASE.keys`, durably.
fn fold_keys<D: Disk>(part: &Partition<D>, keys: &Keys, segment: &Arc<Segment<D::File>>) -> Result<(), FileError> {
    let mut bytes = KEYS_MAGIC.to_vec();
    let mut newest = Micros::MIN;
    for key in segment.keys() {
        // The table knows the newest use of a key; if that lies elsewhere, it is kept there.
        let Some((body, answer, when)) = keys.remembered(&key) else { continue };
        if answer.partition == part.number() && answer.range.from >= segment.base {
            encode(&mut bytes, &key, &body, &answer, when);
            newest = newest.max(when);
        }
    }
    if bytes.len() == KEYS_MAGIC.len() {
        return Ok(());
    }
    let path = part.path_of(&file_name(segment.base));
    let tmp = path.with_extension("keys-tmp");
    let file = part.disk.open(&tmp, Open::Create).map_err(at("create", &tmp))?;
    file.write_at(&bytes, 0).map_err(at("write", &tmp))?;
    file.sync_data().map_err(at("sync", &tmp))?;
    part.disk.rename(&tmp, &path).map_err(at("rename", &tmp))?;
    part.disk.sync_dir(part.dir()).map_err(at("sync", part.dir()))?;
    locked(&part.keys_files).push((file_name(segment.base), newest));
    Ok(())
}

fn file_name(base: Offset) -> String {
    format!("{base:020}.keys")
}

fn encode(out: &mut Vec<u8>, key: &[u8; 16], body: &[u8; 16], answer: &Answer, when: Micros) {
    let start = out.len();
    let len = u32::try_from(ENTRY + answer.bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(key);
    out.extend_from_slice(body);
    out.extend_from_slice(&when.0.to_le_bytes());
    out.extend_from_slice(&answer.range.from.to_le_bytes());
    out.extend_from_slice(&answer.range.to.to_le_bytes());
    out.extend_from_slice(&answer.bytes);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&len.to_le_bytes()), &out[start + 8..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Whether `name` is a `.keys` file.
pub(super) fn is_keys(name: &str) -> bool {
    name.strip_suffix(".keys").is_some_and(|d| d.len() == 20 && d.bytes().all(|b| b.is_ascii_digit()))
}

/// Reads one `.keys` file into the table; returns the time of its newest key and how many bytes
/// of it were unreadable.
pub(super) fn load_keys<D: Disk>(
    disk: &D,
    path: &Path,
    partition: u32,
    keys: &Keys,
    now: Micros,
) -> Result<(Micros, u64), FileError> {
    let mut newest = Micros::MIN;
    let file = disk.open(path, Open::Read).map_err(at("open", path))?;
    let len = usize::try_from(file.len().map_err(at("read", path))?).unwrap_or(0);
    let mut bytes = vec![0; len];
    let n = file.read_at(&mut bytes, 0).map_err(at("read", path))?;
    let mut rest = bytes[..n].get(KEYS_MAGIC.len()..).unwrap_or(&[]);
    while rest.len() >= ENTRY {
        let len = u32_at(rest, 0) as usize;
        let Some(entry) = rest.get(..len).filter(|e| e.len() >= ENTRY) else { break };
        if crc32c::crc32c_append(crc32c::crc32c(&entry[..4]), &entry[8..]) != u32_at(entry, 4) {
            break;
        }
        let when = Micros(i64_at(entry, 40));
        newest = newest.max(when);
        if !keys.expired(when, now) {
            let range = Range { from: u64_at(entry, 48), to: u64_at(entry, 56) };
            let answer = Answer { bytes: Arc::from(&entry[ENTRY..]), partition, range };
            keys.done(&array(entry, 8), &array(entry, 24), answer, when);
        }
        rest = &rest[len..];
    }
    Ok((newest, rest.len() as u64))
}

/// Removes `.keys` files whose newest key is past the window.
fn expire_files<D: Disk>(part: &Partition<D>, keys: &Keys, now: Micros) -> Result<(), FileError> {
    let mut files = locked(&part.keys_files);
    let mut i = 0;
    while i < files.len() {
        if keys.expired(files[i].1, now) {
            let path = part.path_of(&files[i].0);
            part.disk.remove(&path).map_err(at("remove", &path))?;
            files.swap_remove(i);
        } else {
            i += 1;
        }
    }
    Ok(())
}
