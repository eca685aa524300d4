//! The commands and what they share. Each command's own options stand in its own file.

use crate::commands::{
    catalogue, check_config, dead, engine, gap, ingest, migrate, reconcile, seed, simulate, status, token, topics, user,
};
use crate::roles::args::{ConsumeArgs, PanelRole, SidecarRole};
use crate::up;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// Penstock: from the JSON lines of ad servers to statistics, balances and archive.
#[derive(Debug, Parser)]
#[command(
    name = "penstock",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "Example: penstock up --data ./data\n\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 some events rejected, 4 stores differ.\nPENSTOCK_LOG=debug shows more of what happens (on stderr)."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything on this machine
    Up(up::UpArgs),
    /// Take a catalogue in, or give it out
    Catalogue(catalogue::CatalogueArgs),
    /// Make up a catalogue and import it: the data initializer
    Seed(seed::SeedArgs),
    /// Send made-up events at a steady rate: the publisher simulator
    Simulate(simulate::SimulateArgs),
    /// Send a file of events to a sidecar
    Ingest(ingest::IngestArgs),
    /// Show how the system stands
    Status(status::StatusArgs),
    /// Compare what was acknowledged with what the sinks hold
    Reconcile(reconcile::ReconcileArgs),
    /// Look at records that a sink could not take, or replay them
    Dead(dead::DeadArgs),
    /// Who may log in to the panel
    User(user::UserArgs),
    /// What programs come in to the panel with
    Token(token::TokenArgs),
    /// Look at what retention took before a sink had it, or let the sink pass
    Gap(gap::GapArgs),
    /// Compact or verify the archive's files (cluster profile)
    #[cfg(feature = "cluster")]
    Archive(crate::commands::archive::ArchiveArgs),
    /// Bring the tables of the statistics up to date, or show what differs
    Migrate(migrate::MigrateArgs),
    /// Check a configuration file and show what holds
    CheckConfig(check_config::CheckConfigArgs),
    /// Run the sidecar alone (cluster profile)
    Sidecar(SidecarRole),
    /// Run one consumer alone (cluster profile)
    Consume(ConsumeArgs),
    /// Run the panel alone (cluster profile)
    Panel(PanelRole),
    /// Make the topics in Kafka as they should be (cluster profile)
    Topics(topics::TopicsArgs),
    /// The ClickHouse engine's process; `penstock up` starts it
    #[command(hide = true)]
    Engine(engine::EngineArgs),
}

/// Which running system is meant.
#[derive(Clone, Debug, Args)]
pub struct PanelArgs {
    /// The panel's address
    #[arg(long, value_name = "URL", env = "PENSTOCK_PANEL", default_value = "http://127.0.0.1:7080")]
    pub panel: String,
    /// A token, when the panel asks for a login (others on this machine see it on a command line: a
    /// file or the variable are better)
    #[arg(long, value_name = "TOKEN", env = "PENSTOCK_PANEL_TOKEN", hide_env_values = true)]
    pub panel_token: Option<String>,
    /// File that holds the token
    #[arg(long, value_name = "FILE")]
    pub panel_token_file: Option<PathBuf>,
    /// Data folder of a `penstock up` on this machine, which keeps a token there [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Longest wait for the system to become ready
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub ready_timeout: Duration,
}

/// Which sidecar events are sent to, and how.
#[derive(Clone, Debug, Args)]
pub struct SidecarArgs {
    /// The sidecar's address
    #[arg(long, value_name = "URL", env = "PENSTOCK_SIDECAR", default_value = "http://127.0.0.1:7070")]
    pub to: String,
    /// Write key, sent as Penstock-Key
    #[arg(long, value_name = "KEY", env = "PENSTOCK_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// What an answer promises: os, disk (kafka on the cluster profile)
    #[arg(long, value_name = "LEVEL", value_parser = ["os", "disk", "kafka"])]
    pub durability: Option<String>,
    /// A request that has had no answer for so long is given up; until then it is repeated under
    /// its Idempotency-Key
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = humantime::parse_duration)]
    pub give_up_after: Duration,
}

impl SidecarArgs {
    /// As the simulator's crate takes it.
    pub fn post_options(&self) -> penstock_simulator::post::PostOptions {
        let mut options = penstock_simulator::post::PostOptions::new(&self.to);
        options.write_key.clone_from(&self.key);
        options.durability.clone_from(&self.durability);
        options.give_up_after = self.give_up_after;
        options
    }
}
