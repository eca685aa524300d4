//! `penstock migrate statistics`: what ClickHouse has beside what it should have.

use crate::exit::{Verdict, WrongUsage};
use crate::output;
use anyhow::Context;
use clap::{Args, Subcommand};
use penstock::settings::Settings;
use penstock_consumers::statistics::schema::{self, Change, Layout};
use penstock_consumers::statistics::{Servers, Target};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// ClickHouse's tables, on every server that the configuration names
    Statistics(StatisticsArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: penstock migrate statistics --config config/cluster.toml --check\n\nWhat holds rows is never dropped or rewritten: such a difference is shown and left to a person.\nExit codes: 0 no difference (any more), 4 some, 1 failed."
)]
struct StatisticsArgs {
    /// Configuration (TOML); without one, the local engine is looked at
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show the differences and change nothing
    #[arg(long, required_unless_present = "yes", conflicts_with = "yes")]
    check: bool,
    /// Make what is missing and mend what can be mended
    #[arg(long)]
    yes: bool,
    /// Print the differences as JSON
    #[arg(long)]
    json: bool,
    /// Longest wait for one statement
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// One difference and the server that has it.
#[derive(serde::Serialize)]
struct Difference {
    server: String,
    #[serde(flatten)]
    change: Change,
}

pub async fn run(args: MigrateArgs) -> anyhow::Result<Verdict> {
    let What::Statistics(args) = args.what;
    let settings = match &args.config {
        Some(file) => Settings::load(file).with_context(|| format!("{} cannot be used", file.display()))?,
        None => Settings::default(),
    };
    let servers = match Servers::configured(&settings.statistics)? {
        Some(servers) => servers,
        None if args.yes => {
            let text = "the configuration names neither statistics.url nor statistics.shards, and nobody but `penstock up` may change its engine's tables: it makes them when it starts; --check shows how they stand";
            return Err(WrongUsage(text.to_owned()).into());
        }
        None => Target { url: format!("http://{}", settings.engine.listen), ..Target::default() }.into(),
    };
    let layout = Layout::of(&settings.statistics);
    let mut differences = compare(&servers, &layout, args.timeout).await?;
    if args.yes {
        mend(&servers, &differences, args.timeout).await?;
        differences = compare(&servers, &layout, args.timeout).await?;
    }
    show(&args, &differences)?;
    Ok(if differences.is_empty() { Verdict::Good } else { Verdict::Different })
}

async fn compare(servers: &Servers, layout: &Layout, wait: Duration) -> anyhow::Result<Vec<Difference>> {
    let mut differences = Vec::new();
    for target in servers.all() {
        let client = target.client("default");
        let checked = tokio::time::timeout(wait, schema::check(&client, layout)).await;
        let changes = checked
            .with_context(|| format!("{} does not answer in --timeout", target.url))?
            .with_context(|| format!("{} cannot be asked what it has", target.url))?;
        differences.extend(changes.into_iter().map(|change| Difference { server: target.url.clone(), change }));
    }
    Ok(differences)
}

/// Runs each statement where its difference is; one that goes to a whole cluster only once.
async fn mend(servers: &Servers, differences: &[Difference], wait: Duration) -> anyhow::Result<()> {
    let mut done: Vec<&str> = Vec::new();
    for Difference { server, change } in differences {
        let Some(target) = servers.all().find(|t| t.url == *server) else { continue };
        let client = target.client("default");
        for sql in &change.fix {
            if sql.contains(" ON CLUSTER ") && done.contains(&sql.as_str()) {
                continue;
            }
            output::note(format_args!("{server}: {sql}"));
            let ran = tokio::time::timeout(wait, client.query_raw(sql).execute()).await;
            ran.with_context(|| format!("{server} was not done in --timeout with `{sql}`"))?
                .with_context(|| format!("{server} refused `{sql}`"))?;
            done.push(sql);
        }
    }
    Ok(())
}

fn show(args: &StatisticsArgs, differences: &[Difference]) -> anyhow::Result<()> {
    if args.json {
        return output::json(&differences);
    }
    for Difference { server, change } in differences {
        output::line(format_args!("{server}: {} {}", change.object, change.what))?;
        match &change.fix[..] {
            [] => output::line("    left to a person: mending it would drop or rewrite rows")?,
            fix => fix.iter().try_for_each(|sql| output::line(format_args!("    {}", sql.replace('\n', "\n    "))))?,
        }
    }
    if differences.is_empty() { output::line("no difference") } else { Ok(()) }
}
