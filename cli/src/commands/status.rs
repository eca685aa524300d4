//! `penstock status`: roles, spool, lag, stopped campaigns.

use crate::args::PanelArgs;
use crate::exit::Verdict;
use crate::output::{self, table};
use crate::panel_api::Panel;
use clap::Args;
use penstock_panel::api::types::{Health, SinkStatus, SpoolStatus, Status};

#[derive(Debug, Args)]
#[command(after_help = "Example: penstock status --json | jq .sinks")]
pub struct StatusArgs {
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    panel: PanelArgs,
}

pub async fn run(args: StatusArgs) -> anyhow::Result<Verdict> {
    let panel = Panel::ready(&args.panel).await?;
    if args.json {
        // As it came: fields that this version does not know are not lost.
        let status: serde_json::Value = panel.get("/api/v1/status").await?;
        output::json(&status)?;
    } else {
        print(&panel.get("/api/v1/status").await?)?;
    }
    Ok(Verdict::Good)
}

fn print(status: &Status) -> anyhow::Result<()> {
    output::line(format_args!("{} (version {}, {})", health(status.health), status.version, status.timestamp))?;
    let mut roles = table(&["role", "health", "reason"]);
    for role in &status.roles {
        roles.add_row([&role.name, health(role.health), role.reason.as_deref().unwrap_or("")]);
    }
    output::line(roles)?;
    status.spool.iter().chain(&status.spools).try_for_each(spool)?;
    let mut sinks = table(&["sink", "partition", "state", "position", "lag", "last commit", "error"]);
    for sink in &status.sinks {
        sinks.add_row([
            sink.sink.clone(),
            format!("{}/{}", sink.log, sink.partition),
            sink.state.clone(),
            sink.position.to_string(),
            lag(sink),
            sink.last_commit.map(|t| t.to_string()).unwrap_or_default(),
            sink.error.clone().unwrap_or_default(),
        ]);
    }
    output::line(sinks)?;
    stopped(status)?;
    output::line(format_args!("dead letters: {}", status.dead.total))
}

fn spool(spool: &SpoolStatus) -> anyhow::Result<()> {
    let mib = |bytes: u64| bytes >> 20;
    output::line(format_args!("spool {}: {} of {} MiB", spool.log, mib(spool.bytes), mib(spool.quota_bytes)))?;
    let mut partitions = table(&["partition", "start", "end", "synced", "depth"]);
    for p in &spool.partitions {
        partitions.add_row([u64::from(p.partition), p.start, p.end, p.synced, p.depth]);
    }
    output::line(partitions)
}

fn stopped(status: &Status) -> anyhow::Result<()> {
    if status.stopped.is_empty() {
        return output::line("no campaign is stopped");
    }
    let mut campaigns = table(&["stopped campaign", "name", "reasons", "since"]);
    for campaign in &status.stopped {
        campaigns.add_row([
            campaign.campaign_id.to_string(),
            campaign.name.clone(),
            campaign.reasons.join(", "),
            campaign.since.map(|t| t.to_string()).unwrap_or_default(),
        ]);
    }
    output::line(campaigns)
}

fn lag(sink: &SinkStatus) -> String {
    match (sink.lag_events, sink.lag_seconds) {
        (0, _) => "none".to_owned(),
        (events, Some(seconds)) => format!("{events} events, {seconds} s"),
        (events, None) => format!("{events} events"),
    }
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::Degraded => "degraded",
        Health::Down => "down",
    }
}
