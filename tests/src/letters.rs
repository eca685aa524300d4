//! Records that no schema reads, and letters of them that are readable, in the folders of a system
//! that is down: what a system finds after the update that knows their schema.

use penstock::event::{self, Defaults, IdSource};
use penstock::log::LogId;
use penstock::log::spool::{Group, GroupBuf, RealDisk, Spool, SpoolOptions};
use penstock::pipeline::{DeadTarget as _, Letter};
use penstock::time::{Clock, SystemClock};
use penstock_consumers::dead::DeadLetters;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The sinks of one machine, each of which writes a letter.
const SINKS: [&str; 3] = ["archive", "balances", "statistics"];

/// The click that a record was meant to be.
#[derive(Clone, Copy, Debug)]
pub struct Meant<'a> {
    /// Its id, a UUID.
    pub id: &'a str,
    /// The campaign that it is on.
    pub campaign: u64,
}

fn open(dir: &Path) -> Spool {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Spool::open_with(RealDisk, dir, SpoolOptions::new(1, clock)).expect("the system is down").0
}

/// Puts records in the spool that no version of today can read. Returns the log's name.
///
/// # Panics
/// When the system runs, or the disk does not let it.
#[must_use]
pub fn foreign_records(data: &Path, count: usize) -> LogId {
    let spool = open(&data.join("spool/events"));
    let mut writer = spool.writer(0).expect("nobody writes");
    let mut group = GroupBuf::new();
    for _ in 0..count {
        group.push(b"\xC3\x01tomorrow and the rest of it");
    }
    writer.append(&Group::plain(&group)).expect("there is room");
    writer.flush().expect("there is room");
    let log = LogId { name: spool.log_name().clone(), partition: 0 };
    drop(writer);
    spool.close().expect("a clean end");
    log
}

/// Each sink's letter of the record at `offset`, with what it was meant to be; added to those that
/// are there.
///
/// # Panics
/// When the system runs, or the disk does not let it.
pub async fn readable_letters(data: &Path, log: &LogId, offset: u64, meant: Meant<'_>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let spool = open(&data.join("spool/dead"));
    let mut letters = DeadLetters::open(spool.clone(), clock.clone()).await.expect("a new log");
    let defaults = Defaults {
        received: clock.now(),
        server: "s",
        max_future: Duration::from_secs(3_600),
        max_event_bytes: 1 << 20,
    };
    let Meant { id, campaign } = meant;
    let json = format!(
        r#"{{"type":"click","id":"{id}","time":"2017-11-06T16:00:00Z","payload":{{"campaign_id":{campaign}}}}}"#
    );
    let mut body = Vec::new();
    event::admit(json.as_bytes(), &defaults, &mut IdSource::from_os(), &mut body).expect("a valid event");
    for sink in SINKS {
        let message = "no schema has the fingerprint";
        let letter = Letter { sink, log, offset, code: "unknown_schema", field: None, message, body: &body };
        letters.bury(&[letter]).await.expect("there is room");
    }
    drop(letters);
    spool.close().expect("a clean end");
}
