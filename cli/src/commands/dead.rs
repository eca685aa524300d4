//! `penstock dead list|show`: records that a sink could not take, with their reasons.

use crate::args::PanelArgs;
use crate::exit::Verdict;
use crate::output::{self, table};
use crate::panel_api::Panel;
use clap::{Args, Subcommand};
use penstock_panel::api::types::{DeadLetter, Page};

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
    }
    Ok(Verdict::Good)
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
    match (&letter.event, &letter.body_hex) {
        (Some(event), _) => output::json(event),
        (None, Some(hex)) => {
            output::line(format_args!("the record does not decode; its {} bytes: {hex}", letter.bytes))
        }
        (None, None) => output::line("the record's bytes are not kept"),
    }
}
