//! `penstock dead list|show|replay`: records that a sink could not take, with their reasons.

use crate::args::PanelArgs;
use crate::exit::{Verdict, WrongUsage};
use crate::output::{self, table};
use crate::panel_api::Panel;
use clap::{Args, Subcommand};
use penstock_panel::api::types::{DeadLetter, Page, RefusedLetter, ReplayReport, ReplayRequest};
use reqwest::Method;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct DeadArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List dead letters
    #[command(after_help = "Example: penstock dead list --limit 20")]
    List {
        /// Most that are listed
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        panel: PanelArgs,
    },
    /// Show one dead letter with its record
    #[command(after_help = "Example: penstock dead show statistics:spool-0123456789abcdef:0:17")]
    Show {
        /// As `dead list` prints it
        id: String,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        panel: PanelArgs,
    },
    /// Put the records of dead letters into the log again
    ///
    /// A record goes again when it decodes now (after an update that knows its schema) and every
    /// sink has put it aside, so that nothing is counted twice. It keeps its event id, and goes once.
    /// What one sink put aside and the others hold goes to that sink alone with `--to SINK`.
    #[command(
        after_help = "Example: penstock dead replay --code unknown_schema --dry-run\n\nExit codes: 0 all of them went, 3 some were refused (each with its reason)."
    )]
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// Letters, as `dead list` prints them; without one, those that the flags name
    ids: Vec<String>,
    /// Letters of this sink
    #[arg(long, conflicts_with = "ids")]
    sink: Option<String>,
    /// Letters with this reason
    #[arg(long, conflicts_with = "ids")]
    code: Option<String>,
    /// To this sink alone, where the others hold the records; without other flags, all its letters.
    /// To all sinks when left out
    #[arg(long, value_name = "SINK")]
    to: Option<String>,
    /// Every letter there is
    #[arg(long, conflicts_with_all = ["ids", "sink", "code"])]
    all: bool,
    /// Most that are replayed, at most 1000
    #[arg(long, conflicts_with = "ids")]
    limit: Option<usize>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Why, for the audit
    #[arg(long)]
    reason: Option<String>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    panel: PanelArgs,
}

pub async fn run(args: DeadArgs) -> anyhow::Result<Verdict> {
    match args.action {
        Action::List { limit, json, panel } => {
            let letters = all(&Panel::ready(&panel).await?, limit).await?;
            if json { output::json(&letters)? } else { list(&letters)? }
        }
        Action::Show { id, json, panel } => {
            let letter: DeadLetter = Panel::ready(&panel).await?.get(&format!("/api/v1/dead/{id}")).await?;
            if json { output::json(&letter)? } else { show(&letter)? }
        }
        Action::Replay(args) => return replay(args).await,
    }
    Ok(Verdict::Good)
}

/// Longest time for a thousand records to be appended and acknowledged.
const REPLAY: Duration = Duration::from_secs(600);

async fn replay(args: ReplayArgs) -> anyhow::Result<Verdict> {
    let ReplayArgs { ids, sink, code, to, all, limit, dry_run, reason, json, panel } = args;
    if ids.is_empty() && sink.is_none() && code.is_none() && to.is_none() && !all {
        return Err(
            WrongUsage("name letters, or --sink, --code, --to or --all; see `penstock dead list`".to_owned()).into()
        );
    }
    let asked = ReplayRequest { ids: (!ids.is_empty()).then_some(ids), sink, code, limit, to, dry_run, reason };
    let panel = Panel::ready(&panel).await?;
    let report: ReplayReport = panel.ask(Method::POST, "/api/v1/dead/replay", Some(&asked), REPLAY).await?;
    if json {
        output::json(&report)?
    } else {
        replayed(&report, dry_run)?
    }
    Ok(if report.refused.is_empty() { Verdict::Good } else { Verdict::SomeRejected })
}

fn replayed(report: &ReplayReport, dry_run: bool) -> anyhow::Result<()> {
    for letter in &report.replayed {
        match (&letter.log, letter.partition, letter.offset) {
            (Some(log), Some(partition), Some(offset)) => {
                output::line(format_args!("{} is now {log}/{partition} offset {offset}", letter.id))?;
            }
            (Some(log), Some(partition), None) => {
                output::line(format_args!("{} is now in {log}/{partition}", letter.id))?;
            }
            _ => output::line(format_args!("{} would be replayed", letter.id))?,
        }
    }
    for RefusedLetter { id, code, why } in &report.refused {
        output::line(format_args!("{id} was left alone ({code}): {why}"))?;
    }
    let (done, left) = (report.replayed.len(), report.refused.len());
    let what = if dry_run { "would be replayed" } else { "replayed" };
    output::line(format_args!("{done} {what}, {left} left alone"))
}

async fn all(panel: &Panel, limit: usize) -> anyhow::Result<Vec<DeadLetter>> {
    let (mut letters, mut cursor) = (Vec::new(), None::<String>);
    while letters.len() < limit {
        let most = (limit - letters.len()).min(500);
        let cursor_part = cursor.as_deref().map(|c| format!("&cursor={c}")).unwrap_or_default();
        let page: Page<DeadLetter> = panel.get(&format!("/api/v1/dead?limit={most}{cursor_part}")).await?;
        letters.extend(page.result);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    Ok(letters)
}

fn list(letters: &[DeadLetter]) -> anyhow::Result<()> {
    if letters.is_empty() {
        return output::line("no dead letters");
    }
    let mut rows = table(&["id", "code", "field", "type", "message"]);
    for letter in letters {
        rows.add_row([
            letter.id.as_str(),
            letter.code.as_str(),
            letter.field.as_deref().unwrap_or(""),
            letter.event_type.as_deref().unwrap_or(""),
            letter.message.as_str(),
        ]);
    }
    output::line(rows)
}

fn show(letter: &DeadLetter) -> anyhow::Result<()> {
    let field = letter.field.as_deref().map(|f| format!(" ({f})")).unwrap_or_default();
    output::line(format_args!("{}\n{}{field}: {}", letter.id, letter.code, letter.message))?;
    if let Some(by) = &letter.replayed {
        let offset = by.offset.map(|o| format!(" offset {o}")).unwrap_or_default();
        output::line(format_args!("replayed by {} at {} to {}/{}{offset}", by.who, by.time, by.log, by.partition))?;
    }
    match (&letter.event, &letter.body_hex) {
        (Some(event), _) => output::json(event),
        (None, Some(hex)) => {
            output::line(format_args!("the record does not decode; its {} bytes: {hex}", letter.bytes))
        }
        (None, None) => output::line("the record's bytes are not kept"),
    }
}
