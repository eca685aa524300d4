//! `penstock catalogue import|export`: advertisers, campaigns and tags as one JSON file.

use crate::args::PanelArgs;
use crate::exit::Verdict;
use crate::output;
use crate::panel_api::Panel;
use anyhow::Context;
use clap::{Args, Subcommand};
use penstock_panel::api::types::CatalogueImported;
use std::io::Read;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct CatalogueArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Take a catalogue in: all of it or, when anything is wrong, nothing
    #[command(after_help = "Example: penstock catalogue import campaigns.json")]
    Import {
        /// JSON file with advertisers, campaigns and tags; - for the standard input
        file: PathBuf,
        /// Print the counts as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        panel: PanelArgs,
    },
    /// Print the catalogue that holds now, in the form that import takes
    #[command(after_help = "Example: penstock catalogue export --out campaigns.json")]
    Export {
        /// Write to this file instead of the standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The catalogue is always JSON; accepted so that scripts need not tell commands apart
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        panel: PanelArgs,
    },
}

pub async fn run(args: CatalogueArgs) -> anyhow::Result<Verdict> {
    match args.action {
        Action::Import { file, json, panel } => {
            let body = read(&file)?;
            let imported = import(&Panel::ready(&panel).await?, body).await?;
            if json { output::json(&imported)? } else { output::line(sentence(&imported))? }
        }
        Action::Export { out, json: _, panel } => {
            let catalogue = Panel::ready(&panel).await?.get_bytes("/api/v1/catalogue").await?;
            match out {
                Some(path) => std::fs::write(&path, &catalogue)
                    .with_context(|| format!("cannot write the catalogue to {}", path.display()))?,
                None => {
                    output::bytes(&catalogue)?;
                    output::bytes(b"\n")?;
                }
            }
        }
    }
    Ok(Verdict::Good)
}

/// Hands a catalogue to the panel; returns when it holds for new events.
pub async fn import(panel: &Panel, body: Vec<u8>) -> anyhow::Result<CatalogueImported> {
    panel.put_bytes("/api/v1/catalogue", body).await.context("nothing was imported")
}

/// What was imported, for a person.
pub fn sentence(imported: &CatalogueImported) -> String {
    format!(
        "imported {} advertisers, {} campaigns, {} tags; they hold for events received from {} on",
        imported.advertisers, imported.campaigns, imported.tags, imported.known_from
    )
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file.as_os_str() == "-" {
        let mut body = Vec::new();
        std::io::stdin().read_to_end(&mut body).context("cannot read the standard input")?;
        return Ok(body);
    }
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}
