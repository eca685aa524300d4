//! `penstock sidecar|consume|panel`: single roles, which only a cluster needs.

use crate::args::Command;
use crate::exit::{Verdict, WrongUsage};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Example: penstock consume balances")]
pub struct ConsumeArgs {
    /// Which sink
    sink: SinkName,
    /// Load statistics straight from an NDJSON file
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SinkName {
    Statistics,
    Balances,
    Archive,
}

/// Says what there is instead: on one machine a role alone would have nobody to talk to.
pub fn run(command: &Command) -> anyhow::Result<Verdict> {
    let what = match command {
        Command::Consume(ConsumeArgs { sink: SinkName::Statistics, from: Some(file) }) => {
            let text = format!(
                "`penstock consume statistics --from` writes to a ClickHouse of the cluster profile, which this build does not have; `penstock ingest {}` loads the file into the running system",
                file.display()
            );
            return Err(WrongUsage(text).into());
        }
        Command::Consume(ConsumeArgs { from: Some(_), .. }) => {
            return Err(WrongUsage("--from goes with `penstock consume statistics` only".to_owned()).into());
        }
        Command::Consume(args) => match args.sink {
            SinkName::Statistics => "consume statistics",
            SinkName::Balances => "consume balances",
            SinkName::Archive => "consume archive",
        },
        Command::Panel => "panel",
        _ => "sidecar",
    };
    Err(WrongUsage(format!(
        "`penstock {what}` is one role of the cluster profile, which this build does not have; `penstock up` runs all roles on this machine"
    ))
    .into())
}
