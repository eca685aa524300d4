//! The spool keeps the promises that every log makes.

use super::*;
use crate::log::conformance::{Fixture, suite};

struct OnDisk(Spool<SimDisk>);

impl Fixture for OnDisk {
    type Log = SpoolLog<SimDisk>;

    async fn append(&mut self, bodies: &[Vec<u8>]) {
        let mut writer = self.0.writer(0).unwrap();
        writer.append(&Group::plain(&group(bodies))).unwrap();
        writer.flush().unwrap();
        self.0.sync_now().unwrap();
    }

    async fn open(&mut self) -> SpoolLog<SimDisk> {
        self.0.reader("suite", 0).unwrap()
    }
}

#[tokio::test]
async fn a_partition_of_the_spool_keeps_the_promises_of_a_log() {
    let (spool, _) = open(&SimDisk::new(1));
    suite(OnDisk(spool)).await;
}
