//! The options of `penstock sidecar|consume|panel`.

use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What every role takes.
#[derive(Clone, Debug, Args)]
pub struct RoleArgs {
    /// Configuration (TOML); config/cluster.toml explains every key
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of what the role keeps on this machine [default: ./data, or what the configuration says]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Listen here instead of where the configuration says; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: penstock sidecar --config config/cluster.toml --data /var/lib/penstock\n\nTakes events and forwards them to Kafka. Prints its address when it listens; Ctrl-C or SIGTERM drains and stops, a second one ends at once."
)]
pub struct SidecarRole {
    #[command(flatten)]
    pub role: RoleArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: penstock panel --config config/cluster.toml\n\nThe API for admins and for the other commands. Prints its address when it listens; Ctrl-C or SIGTERM stops."
)]
pub struct PanelRole {
    #[command(flatten)]
    pub role: RoleArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: penstock consume balances --config config/cluster.toml\n\nMoves events from Kafka into one sink. /readyz on its address says why it does not. Ctrl-C or SIGTERM stops; what was not written yet is written by whoever takes over."
)]
pub struct ConsumeArgs {
    /// Which sink
    pub sink: SinkName,
    /// Load statistics straight from an NDJSON file
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    #[command(flatten)]
    pub role: RoleArgs,
}

/// The sinks that a process can feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SinkName {
    Statistics,
    Balances,
    Archive,
}

impl SinkName {
    /// The role that feeds it.
    pub const fn role(self) -> &'static str {
        match self {
            SinkName::Statistics => "consume statistics",
            SinkName::Balances => "consume balances",
            SinkName::Archive => "consume archive",
        }
    }
}
