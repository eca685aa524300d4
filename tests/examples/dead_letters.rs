//! Gives a system that has never run two records that nobody can read; the first one's letters can
//! be read by now: `dead_letters DATA ID CAMPAIGN`. The panel's browser tests replay them.
#![allow(clippy::panic, reason = "a helper of tests fails like a test")]

use penstock_tests::letters::{Meant, foreign_records, readable_letters};
use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, id, campaign] = &arguments[..] else { panic!("dead_letters DATA ID CAMPAIGN") };
    let data = Path::new(data);
    let meant = Meant { id, campaign: campaign.parse().expect("CAMPAIGN is a number") };
    let log = foreign_records(data, 2);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(readable_letters(data, &log, 0, meant));
}
