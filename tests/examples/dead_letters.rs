//! Gives a system that has never run three records that nobody can read; the letters of the first
//! and the last can be read by now: `dead_letters DATA ID ID CAMPAIGN`. The panel's browser tests
//! replay them.
#![allow(clippy::panic, reason = "a helper of tests fails like a test")]

use penstock_tests::letters::{Meant, foreign_records, readable_letters};
use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, first, last, campaign] = &arguments[..] else { panic!("dead_letters DATA ID ID CAMPAIGN") };
    let data = Path::new(data);
    let campaign = campaign.parse().expect("CAMPAIGN is a number");
    let log = foreign_records(data, 3);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (offset, id) in [(0, first), (2, last)] {
        runtime.block_on(readable_letters(data, &log, offset, Meant { id, campaign }));
    }
}
