//! `penstock topics apply`: the topics of the cluster, as they should be.

use crate::exit::{Verdict, WrongUsage};
#[cfg(feature = "cluster")]
use crate::output;
use anyhow::Context;
use clap::{Args, Subcommand};
use penstock::settings::Settings;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct TopicsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make missing topics, raise partitions, set what must hold
    #[command(
        after_help = "Example: penstock topics apply --config config/cluster.toml --check\n\nNothing is ever taken away. Exit code 4 when something differs (--check), or still does (--yes)."
    )]
    Apply(ApplyArgs),
}

#[derive(Debug, Args)]
#[group(skip)]
struct ApplyArgs {
    /// TOML file with the [kafka] table
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only show what differs
    #[arg(long, conflicts_with = "yes", required_unless_present = "yes")]
    check: bool,
    /// Change it
    #[arg(long)]
    yes: bool,
    /// Print the differences as JSON
    #[arg(long)]
    json: bool,
    /// Longest wait for the brokers
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

pub async fn run(args: TopicsArgs) -> anyhow::Result<Verdict> {
    let Action::Apply(args) = args.action;
    let settings = Settings::load(&args.config).with_context(|| format!("{} cannot be used", args.config.display()))?;
    if !settings.kafka.is_configured() {
        return Err(WrongUsage(format!("{} names no kafka.brokers", args.config.display())).into());
    }
    apply(&args, &settings).await
}

#[cfg(not(feature = "cluster"))]
async fn apply(_: &ApplyArgs, _: &Settings) -> anyhow::Result<Verdict> {
    Err(WrongUsage("this build has no cluster profile; build it with --features cluster".to_owned()).into())
}

#[cfg(feature = "cluster")]
async fn apply(args: &ApplyArgs, settings: &Settings) -> anyhow::Result<Verdict> {
    use penstock::kafka::topics::{Difference, Topics, wanted};
    let wanted = wanted(&settings.kafka, &settings.forward);
    let topics = Topics::new(&settings.kafka, args.timeout)?;
    let before = topics.differences(&wanted).await?;
    let left: Vec<&Difference> = if args.yes {
        topics.apply(&wanted).await?;
        before.iter().filter(|d| !d.can_be_applied()).collect()
    } else {
        before.iter().collect()
    };
    if args.json {
        output::json(&before)?;
    } else if before.is_empty() {
        output::line("all topics are as they should be")?;
    } else {
        for difference in &before {
            let done = if args.yes && difference.can_be_applied() { " (done)" } else { "" };
            output::line(format_args!("{difference}{done}"))?;
        }
    }
    Ok(if left.is_empty() { Verdict::Good } else { Verdict::Different })
}
