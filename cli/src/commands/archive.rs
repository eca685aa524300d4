//! `penstock archive compact|verify`: works on the archive's files themselves, with or without a
//! running system.

use crate::exit::Verdict;
use crate::output::{self, table};
use crate::parts::archive::instance;
use crate::parts::signals::Signals;
use anyhow::Context;
use clap::{Args, Subcommand};
use penstock::settings::Settings;
use penstock::telemetry::ArchiveMetrics;
use penstock::time::{Clock, SystemClock};
use penstock_consumers::archive::ArchiveStore;
use penstock_consumers::archive::compact::{Compactor, Report};
use penstock_consumers::archive::verify::{self, Scope};
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub struct ArchiveArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Merge the files of each hour into Parquet
    #[command(
        after_help = "Example: penstock archive compact --config config/cluster.toml --once\n\nFiles that were replaced go `archive.compact.grace` later, in a later pass.\nExit codes: 0 done, 1 failed, 4 files or hours were left as they are (each is named)."
    )]
    Compact {
        #[command(flatten)]
        which: Which,
        /// Instead of archive.compact.older_than
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        older_than: Option<Duration>,
        /// One pass; otherwise one every archive.compact.every (default 1h) until a signal
        #[arg(long)]
        once: bool,
        /// Print what was done as JSON
        #[arg(long)]
        json: bool,
    },
    /// Read all files and say what is wrong with them
    #[command(
        after_help = "Example: penstock archive verify --config config/cluster.toml --hour 2017-11-06T16\n\nExit codes: 0 nothing is wrong, 4 something is (each fault is named), 1 failed."
    )]
    Verify {
        #[command(flatten)]
        which: Which,
        /// This hour alone, in UTC: 2017-11-06T16
        #[arg(long, value_name = "HOUR", value_parser = hour)]
        hour: Option<i64>,
        /// This event type alone
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which archive.
#[derive(Debug, Args)]
struct Which {
    /// Configuration that says where the archive is
    #[arg(long, value_name = "FILE", env = "PENSTOCK_CONFIG")]
    config: PathBuf,
    /// Folder of local state, for an archive that lies in it
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Reads `YYYY-MM-DDTHH`.
fn hour(text: &str) -> Result<i64, String> {
    let whole = format!("{text}:00:00Z");
    let time = chrono::DateTime::parse_from_rfc3339(&whole).map_err(|_| "must be like 2017-11-06T16".to_owned())?;
    Ok(time.timestamp().div_euclid(3_600))
}

pub async fn run(args: ArchiveArgs) -> anyhow::Result<Verdict> {
    match args.action {
        Action::Compact { which, older_than, once, json } => {
            let (mut settings, store) = open(&which)?;
            if let Some(older_than) = older_than {
                settings.archive.compact.older_than = older_than;
            }
            compact(&settings, store, once, json).await
        }
        Action::Verify { which, hour, kind, json } => {
            let report = verify::verify(&open(&which)?.1, &Scope { hour, kind }).await?;
            if json {
                output::json(&report)?
            } else {
                show_verified(&report)?
            }
            Ok(if report.fault_count == 0 { Verdict::Good } else { Verdict::Different })
        }
    }
}

fn open(which: &Which) -> anyhow::Result<(Settings, ArchiveStore)> {
    let file = &which.config;
    let mut settings = Settings::load(file).with_context(|| format!("{} cannot be used", file.display()))?;
    settings.data = which.data.clone().or(settings.data);
    // As the roles of a cluster take it, which keep no other state, and as `penstock up` does.
    let cluster = settings.kafka.is_configured() && settings.data.is_none();
    let default = if cluster { PathBuf::from("archive") } else { settings.data_dir().join("archive") };
    let store = ArchiveStore::connect(&settings.archive, &default, ArchiveMetrics::default())?;
    Ok((settings, store))
}

/// Between two passes when the settings say nothing.
const EVERY: Duration = Duration::from_secs(3_600);

async fn compact(settings: &Settings, store: ArchiveStore, once: bool, json: bool) -> anyhow::Result<Verdict> {
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let clock = SystemClock;
    let compact = settings.archive.compact.clone();
    let every = compact.every.unwrap_or(EVERY);
    let mut compactor = Compactor::new(store, compact, instance(clock.now()));
    loop {
        let now = clock.now();
        let pass = compactor.pass(now, &stop);
        tokio::pin!(pass);
        let report = tokio::select! {
            report = &mut pass => report?,
            _ = signals.next() => {
                // The hour in hand is finished: what it has done so far would be done again.
                stop.cancel();
                pass.await?
            }
        };
        if json {
            output::json(&report)?
        } else {
            show_compacted(&report)?
        }
        if once || stop.is_cancelled() {
            return Ok(if report.fault_count == 0 { Verdict::Good } else { Verdict::Different });
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = signals.next() => return Ok(Verdict::Good),
        }
    }
}

fn show_compacted(report: &Report) -> anyhow::Result<()> {
    let Report { hours, files, records, bytes, parts, part_bytes, removed, contended, .. } = report;
    output::line(format_args!(
        "{hours} hours: {files} files with {records} records ({bytes} bytes) became {parts} Parquet files ({part_bytes} bytes); {removed} replaced files removed"
    ))?;
    if *contended > 0 {
        output::line(format_args!("{contended} hours are being compacted by somebody else"))?;
    }
    faults(report.fault_count, report.faults.iter().map(|fault| ["left", &fault.path, &fault.why]))
}

fn show_verified(report: &verify::Report) -> anyhow::Result<()> {
    let verify::Report { hours, files, parts, records, bytes, taken, idle, leftovers, under_way, .. } = report;
    output::line(format_args!(
        "{records} records in {hours} hours: {files} Avro files, {parts} Parquet files, {bytes} bytes"
    ))?;
    for (count, what) in [
        (taken, "Avro files are compacted and wait to be removed"),
        (idle, "files of compactions that do not count (yet, or any more)"),
        (leftovers, "temporary files of writes"),
        (under_way, "ranges are being written"),
    ] {
        if *count > 0 {
            output::line(format_args!("{count} {what}"))?;
        }
    }
    faults(report.fault_count, report.faults.iter().map(|fault| [fault.code, &fault.at, &fault.why]))
}

fn faults<'a>(count: u64, faults: impl Iterator<Item = [&'a str; 3]>) -> anyhow::Result<()> {
    if count == 0 {
        return Ok(());
    }
    let mut rows = table(&["fault", "where", "why"]);
    faults.for_each(|fault| {
        rows.add_row(fault);
    });
    output::line(format_args!("{count} faults"))?;
    output::line(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_read_as_it_stands_in_the_folders() {
        assert_eq!(hour("1970-01-02T03"), Ok(27));
        for wrong in ["1970-01-02", "1970-01-02T24", "1970-01-02T03:00", "x"] {
            assert!(hour(wrong).is_err(), "{wrong}");
        }
    }
}
