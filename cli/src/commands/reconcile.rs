//! `penstock reconcile`: whether log, statistics, balances and archive tell the same story.

use crate::args::PanelArgs;
use crate::exit::{Verdict, WrongUsage};
use crate::output::{self, table};
use crate::panel_api::Panel;
use clap::Args;
use penstock_panel::api::types::{PartitionReport, ReconcileRequest, Reconciliation};
use reqwest::Method;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(
    after_help = "Example: penstock reconcile --wait 60s\n\nPer log partition: acknowledged = archived + dead = counted + dead, and counted = charged + duplicates +\nunattributed, in number and nanos. Lag is reported, it is no difference.\nExit codes: 0 equal, 4 the stores differ, 1 failed."
)]
pub struct ReconcileArgs {
    /// Longest wait until every sink has taken in what was acknowledged (at most 10m)
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    wait: Duration,
    /// Print the whole account as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    panel: PanelArgs,
}

const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Time for the comparison itself, after the waiting.
const COMPARING: Duration = Duration::from_secs(120);

pub async fn run(args: ReconcileArgs) -> anyhow::Result<Verdict> {
    if args.wait > LONGEST_WAIT {
        return Err(WrongUsage(format!("--wait {:?} is too long: at most {LONGEST_WAIT:?}", args.wait)).into());
    }
    let panel = Panel::ready(&args.panel).await?;
    let request = ReconcileRequest { wait_s: Some(args.wait.as_secs()) };
    let account: serde_json::Value =
        panel.ask(Method::POST, "/api/v1/reconcile", Some(&request), args.wait + COMPARING).await?;
    let verdict: Reconciliation = serde_json::from_value(account.clone())?;
    if args.json {
        output::json(&account)?
    } else {
        print(&verdict)?
    }
    if !verdict.complete {
        output::note(
            "not all that was acknowledged has been taken in yet; it was compared up to where each sink stands",
        );
    }
    Ok(if verdict.equal { Verdict::Good } else { Verdict::Different })
}

fn print(verdict: &Reconciliation) -> anyhow::Result<()> {
    let mut rows = table(&[
        "partition",
        "acknowledged",
        "archived",
        "counted",
        "charged",
        "duplicates",
        "unattributed",
        "dead",
        "lag",
    ]);
    for partition in verdict.partitions.iter().chain([&verdict.totals]) {
        rows.add_row(row(partition));
    }
    output::line(rows)?;
    let nanos = verdict.totals.statistics.nanos.unwrap_or_default();
    output::line(format_args!("counted cost: {nanos} nanos"))?;
    for note in &verdict.notes {
        output::line(format_args!("note: {note}"))?;
    }
    for difference in &verdict.differences {
        output::line(format_args!("difference ({}): {}", difference.check, difference.message))?;
    }
    if verdict.differences_left_out > 0 {
        output::line(format_args!("and {} more differences", verdict.differences_left_out))?;
    }
    output::line(if verdict.equal { "equal" } else { "DIFFERENT" })
}

fn row(p: &PartitionReport) -> [String; 9] {
    let events = |figures: Option<penstock_panel::api::types::Figures>| figures.unwrap_or_default().events.to_string();
    let most = |of: fn(&penstock_panel::api::types::SinkReport) -> u64| {
        [&p.statistics, &p.balances, &p.archive].into_iter().map(of).max().unwrap_or_default().to_string()
    };
    [
        p.partition.map_or_else(|| "all".to_owned(), |n| format!("{}/{n}", p.log)),
        p.acknowledged.to_string(),
        p.archive.events.to_string(),
        p.statistics.events.to_string(),
        events(p.balances.charged),
        events(p.balances.duplicates),
        events(p.balances.unattributed),
        most(|s| s.dead),
        most(|s| s.lag_events),
    ]
}
