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
    /// Load statistics straight from an NDJSON file (.gz, .zst), once however often it is repeated
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    #[command(flatten)]
    pub file_options: FileOptions,
    #[command(flatten)]
    pub role: RoleArgs,
}

/// What goes with `--from`.
#[derive(Debug, Args)]
pub struct FileOptions {
    /// Price events by this catalogue (JSON) instead of the ledger's
    #[arg(long, value_name = "FILE", requires = "from")]
    pub catalogue: Option<PathBuf>,
    /// The file's name among logs (column log_topic), the same each time it is loaded, also when it
    /// has grown [default: a hash of its content]
    #[arg(long, value_name = "NAME", requires = "from")]
    pub log: Option<String>,
    /// The shard that gets the file's rows, counted from 0; the same each time it is loaded
    #[arg(long, value_name = "N", requires = "from", default_value_t = 0)]
    pub shard: u32,
    /// Print what came of the file as JSON
    #[arg(long, requires = "from")]
    pub json: bool,
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
