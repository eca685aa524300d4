//! Tests of the spool against simulated crashes, damage and full disks.

mod basic;
mod conformance;
mod damage;
mod folder;
mod keys;
mod model;
mod simulated;
mod space;
mod threads;

use super::*;
use crate::log::{FlushReason, Limits, Log, Offset, Records};
use crate::settings::SpoolSettings;
use crate::time::{ManualClock, Micros};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Folder of the spool on simulated disks.
pub(super) fn dir() -> PathBuf {
    PathBuf::from("/spool")
}

/// Small segments, no thread, a clock at 1000 s.
pub(super) fn options() -> (SpoolOptions, ManualClock) {
    let clock = ManualClock::at(Micros::from_secs(1_000));
    let settings = SpoolSettings {
        segment_bytes: 2048,
        max_bytes: 1 << 30,
        reserve_bytes: 0,
        max_group_bytes: 64 << 10,
        ..SpoolSettings::default()
    };
    let base = SpoolOptions::new(1, Arc::new(clock.clone()));
    (SpoolOptions { settings, syncing: Syncing::ByHand, ..base }, clock)
}

pub(super) fn open(disk: &SimDisk) -> (Spool<SimDisk>, Recovery) {
    Spool::open_with(disk.clone(), &dir(), options().0).unwrap()
}

/// A group of these bodies.
pub(super) fn group<B: AsRef<[u8]>>(bodies: &[B]) -> GroupBuf {
    let mut buf = GroupBuf::new();
    bodies.iter().for_each(|b| buf.push(b.as_ref()));
    buf
}

pub(super) fn limits() -> Limits {
    Limits { rows: usize::MAX, bytes: usize::MAX, age: Duration::ZERO, idle: Duration::ZERO, end: None }
}

/// Runs a future on a paused clock.
pub(super) fn block_on<T>(f: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(f)
}

/// A record as read: its offset and its body, `None` for a hole.
pub(super) type Seen = (Offset, Option<Vec<u8>>);

/// Everything readable from `from` on.
pub(super) fn read_from(spool: &Spool<SimDisk>, partition: u32, from: Offset) -> Vec<Seen> {
    let mut log = spool.viewer(partition).unwrap();
    let mut records = Records::new();
    block_on(log.read(from, &limits(), &mut records)).unwrap();
    seen(&records)
}

pub(super) fn seen(records: &Records) -> Vec<Seen> {
    records.iter().map(|r| (r.offset, r.body.ok().map(<[u8]>::to_vec))).collect()
}

/// The segment files of partition 0, ascending.
pub(super) fn segment_files(disk: &SimDisk) -> Vec<PathBuf> {
    disk.files().into_iter().filter(|p| p.extension().is_some_and(|e| e == "seg")).collect()
}

pub(super) fn append<D: Disk>(writer: &mut Writer<D>, bodies: &[&str]) -> crate::log::Range {
    let range = writer.append(&Group::plain(&group(bodies))).unwrap();
    writer.flush().unwrap();
    range
}
