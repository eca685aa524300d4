//! `penstock seed`: a made-up catalogue, imported into the running system or written to a file.

use super::catalogue::{import, sentence};
use crate::args::PanelArgs;
use crate::exit::{Verdict, WrongUsage};
use crate::output;
use crate::panel_api::Panel;
use anyhow::Context;
use clap::Args;
use penstock_simulator::seed::{SeedOptions, make};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    after_help = "Example: penstock seed --campaigns 100 --tags 1000\n         penstock seed --out catalogue.json"
)]
pub struct SeedArgs {
    /// How many campaigns
    #[arg(long, default_value_t = 100)]
    campaigns: u32,
    /// How many tags
    #[arg(long, default_value_t = 1000)]
    tags: u32,
    /// How many advertisers; default one for five campaigns
    #[arg(long)]
    advertisers: Option<u32>,
    /// The same seed makes the same catalogue
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the catalogue to this file (- for the standard output) instead of importing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    panel: PanelArgs,
}

pub async fn run(args: SeedArgs) -> anyhow::Result<Verdict> {
    let SeedArgs { campaigns, tags, advertisers, seed, .. } = args;
    let made = make(&SeedOptions { campaigns, tags, advertisers, seed }).map_err(|e| WrongUsage(e.to_string()))?;
    match args.out {
        Some(path) if path.as_os_str() == "-" => output::json(&made)?,
        Some(path) => std::fs::write(&path, serde_json::to_vec_pretty(&made)?)
            .with_context(|| format!("cannot write the catalogue to {}", path.display()))?,
        None => {
            let imported = import(&Panel::ready(&args.panel).await?, serde_json::to_vec(&made)?).await?;
            if args.json { output::json(&imported)? } else { output::line(sentence(&imported))? }
        }
    }
    Ok(Verdict::Good)
}
