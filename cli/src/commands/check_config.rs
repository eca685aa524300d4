//! `penstock check-config`: whether a configuration can be used, and what holds then.

use crate::exit::Verdict;
use crate::output;
use anyhow::Context;
use clap::Args;
use penstock::settings::Settings;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    after_help = "Example: penstock check-config config/embedded.toml\n\nPrints every setting as it holds, defaults included."
)]
pub struct CheckConfigArgs {
    /// TOML file
    file: PathBuf,
    /// Print the settings as JSON instead of TOML
    #[arg(long)]
    json: bool,
}

pub fn run(args: &CheckConfigArgs) -> anyhow::Result<Verdict> {
    let settings = Settings::load(&args.file).with_context(|| format!("{} cannot be used", args.file.display()))?;
    for warning in settings.warnings() {
        output::note(format_args!("warning: {warning}"));
    }
    if args.json {
        output::json(&settings)?;
    } else {
        output::write(format_args!("{}", toml::to_string_pretty(&settings)?))?;
    }
    Ok(Verdict::Good)
}
