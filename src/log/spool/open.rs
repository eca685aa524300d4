//! Opens a spool's folder: lock, identity, partitions, readers, keys.

use super::disk::Disk;
use super::error::{FileError, OpenError, at};
use super::format::Identity;
use super::identity;
use super::keys::Keys;
use super::partition::{Partition, Space, folder, number_of};
use super::readers::Readers;
use super::recover::{Context, PartitionRecovery, recover};
use super::retention::{is_keys, load_keys};
use super::segment::base_of;
use super::slots::{Held, Slots};
use super::spool::{Inner, SpoolOptions};
use super::watermarks::{Bell, Watermarks};
use crate::log::LogId;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Most partitions: their folders have four digits.
const MAX_PARTITIONS: u32 = 10_000;
/// File of the noted sync watermark.
const PROOF: &str = "synced";

/// What opening a spool found; log it, and look at it after a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Each partition.
    pub partitions: Vec<PartitionRecovery>,
    /// Idempotency keys that are remembered.
    pub keys: usize,
}

impl Recovery {
    /// Whether everything was as a clean end leaves it.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.partitions.iter().all(|p| {
            let clean = PartitionRecovery {
                partition: p.partition,
                start: p.start,
                end: p.end,
                proof: p.proof,
                ..PartitionRecovery::default()
            };
            *p == clean
        })
    }
}

type Opened<D> = (Inner<D>, <D as Disk>::Lock, Recovery);

pub(super) fn open<D: Disk>(disk: D, dir: &Path, options: SpoolOptions) -> Result<Opened<D>, OpenError> {
    let SpoolOptions { partitions, settings, retention, clock, counters, .. } = options;
    if !(1..=MAX_PARTITIONS).contains(&partitions) {
        return Err(OpenError::Partitions(partitions));
    }
    disk.create_dir_all(dir).map_err(at("create", dir))?;
    let lock = dir.join("lock");
    let lock = disk.lock(&lock).map_err(at("lock", &lock))?.ok_or_else(|| OpenError::Locked { dir: dir.to_owned() })?;
    let mut numbers: Vec<u32> = list(&disk, dir)?.iter().filter_map(|n| number_of(n)).collect();
    let mut fresh = true;
    for &number in &numbers {
        fresh &= !list(&disk, &dir.join(folder(number)))?.iter().any(|n| base_of(n).is_some());
    }
    let identity = identity::load(&disk, dir, fresh)?;
    for number in 0..partitions {
        if !numbers.contains(&number) {
            let path = dir.join(folder(number));
            disk.create_dir_all(&path).map_err(at("create", &path))?;
            numbers.push(number);
        }
    }
    disk.sync_dir(dir).map_err(at("sync", dir))?;
    numbers.sort_unstable();

    let log_name: Arc<str> = Arc::from(format!("spool-{:016x}", identity.id));
    let keys = Keys::new(retention.keys_window, retention.max_keys, retention.max_answer_bytes, clock.clone());
    let (max, reserve) = (settings.max_bytes, settings.reserve_bytes);
    let space = Arc::new(Space { used: AtomicU64::new(0), max, reserve, full: AtomicBool::new(false) });
    let mut inner = Inner {
        segment_bytes: settings.segment_bytes.min(max / 8 / numbers.len() as u64),
        disk,
        dir: dir.to_owned(),
        log_name,
        partitions: Vec::with_capacity(numbers.len()),
        keys,
        settings,
        retention,
        clock,
        counters,
        space,
        bell: Arc::new(Bell::default()),
        closed: AtomicBool::new(false),
    };
    let mut recovery = Recovery::default();
    for number in numbers {
        let (partition, report) = open_partition(&inner, identity, number)?;
        inner.space.add(partition.bytes());
        inner.counters.cut.inc_by(report.cut_bytes);
        inner.partitions.push(Arc::new(partition));
        recovery.partitions.push(report);
    }
    recovery.keys = inner.keys.len();
    Ok((inner, lock, recovery))
}

fn list<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<String>, FileError> {
    disk.list(dir).map_err(at("list", dir))
}

fn open_partition<D: Disk>(
    inner: &Inner<D>,
    identity: Identity,
    number: u32,
) -> Result<(Partition<D>, PartitionRecovery), OpenError> {
    let (disk, dir) = (&inner.disk, inner.dir.join(folder(number)));
    let mut report = PartitionRecovery { partition: number, ..PartitionRecovery::default() };
    let mut names = list(disk, &dir)?;
    for name in names.extract_if(.., |n| n.ends_with("tmp")) {
        let path = dir.join(name);
        disk.remove(&path).map_err(at("remove", &path))?;
    }
    // Ties small files to this spool and partition.
    let owner = identity.id ^ identity.salt ^ u64::from(number);
    let (readers, damaged) = Readers::open(disk.clone(), &dir, owner, &names)?;
    report.damaged_positions = damaged as u64;
    let (proof_file, noted) = open_proof(disk, &dir, owner)?;
    report.proof = readers.proof().max(noted);

    let now = inner.clock.now();
    let mut keys_files = Vec::new();
    for name in names.iter().filter(|n| is_keys(n)) {
        let (newest, unread) = load_keys(disk, &dir.join(name), number, &inner.keys, now)?;
        report.lost_keys += u64::from(unread > 0);
        keys_files.push((name.clone(), newest));
    }
    let ctx = Context { disk, dir: &dir, identity, partition: number, proof: report.proof, keys: &inner.keys, now };
    let (segments, end) = recover(&ctx, &names, &mut report)?;
    let id = LogId { name: inner.log_name.clone(), partition: number };
    let marks = Arc::new(Watermarks::new(end, inner.bell.clone()));
    let partition = Partition::new(
        id,
        identity,
        dir,
        disk.clone(),
        marks,
        inner.space.clone(),
        inner.counters.clone(),
        readers,
        segments,
        proof_file,
        keys_files,
    );
    if let Err(error) = partition.seal_proof() {
        tracing::warn!(partition = %partition.id, %error, "cannot note how far the partition is durable");
    }
    Ok((partition, report))
}

/// The noted sync watermark: a proof when it is readable, else nothing is proven by it.
fn open_proof<D: Disk>(disk: &D, dir: &Path, owner: u64) -> Result<(Slots<D::File>, u64), OpenError> {
    let path = dir.join(PROOF);
    match Slots::open(disk, &path, owner) {
        Ok((slots, Held::Value { value, .. })) => Ok((slots, value[0])),
        Ok((slots, Held::Unreadable)) => Ok((slots, 0)),
        Ok((_, Held::Newer(found))) => Err(OpenError::Newer { path, found, known: super::format::VERSION }),
        Err(e) if e.source.kind() == ErrorKind::NotFound => Ok((Slots::create(disk, &path, owner, [0; 3])?, 0)),
        Err(e) => Err(e.into()),
    }
}
