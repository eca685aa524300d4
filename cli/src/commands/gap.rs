//! `penstock gap list|skip`: offsets that retention took before a sink had come to them.

use crate::args::PanelArgs;
use crate::exit::Verdict;
use crate::output::{self, table};
use crate::panel_api::Panel;
use clap::{Args, Subcommand};
use penstock_panel::api::types::{Gap, GapSkipRequest, Page};
use reqwest::Method;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct GapArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the gaps that sinks have met
    #[command(after_help = "Example: penstock gap list")]
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        panel: PanelArgs,
    },
    /// Let a sink pass a gap: what is gone stays missing there
    ///
    /// The sink goes on behind the gap within seconds. Bring the events in from another store first
    /// where they can be had: `reconcile` goes on naming what is missing.
    #[command(after_help = "Example: penstock gap skip statistics:ads.click:3:184467 --reason 'kept in the archive'")]
    Skip {
        /// As `gap list` prints it
        id: String,
        /// Why the loss is accepted, for the audit
        #[arg(long)]
        reason: String,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        panel: PanelArgs,
    },
}

/// Longest time for the decision to be written.
const WRITTEN: Duration = Duration::from_secs(60);

pub async fn run(args: GapArgs) -> anyhow::Result<Verdict> {
    match args.action {
        Action::List { json, panel } => {
            let page: Page<Gap> = Panel::ready(&panel).await?.get("/api/v1/gaps").await?;
            if json { output::json(&page.result)? } else { list(&page.result)? }
        }
        Action::Skip { id, reason, json, panel } => {
            let asked = GapSkipRequest { id, reason };
            let panel = Panel::ready(&panel).await?;
            let gap: Gap = panel.ask(Method::POST, "/api/v1/gaps/skip", Some(&asked), WRITTEN).await?;
            if json { output::json(&gap)? } else { output::line(format_args!("{}: {}", gap.id, stands(&gap)))? }
        }
    }
    Ok(Verdict::Good)
}

fn stands(gap: &Gap) -> String {
    match (&gap.skip, gap.passed) {
        (_, Some(true)) => "passed".to_owned(),
        (Some(skip), _) => format!("{} let it pass", skip.who),
        (None, _) => "the sink waits".to_owned(),
    }
}

fn list(gaps: &[Gap]) -> anyhow::Result<()> {
    if gaps.is_empty() {
        return output::line("no gaps");
    }
    let mut rows = table(&["id", "met", "stands", "what"]);
    for gap in gaps {
        rows.add_row([gap.id.clone(), gap.time.to_string(), stands(gap), gap.message.clone()]);
    }
    output::line(rows)
}
