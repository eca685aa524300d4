//! Where text goes: data to stdout, logs to stderr.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use tracing_subscriber::EnvFilter;

/// Nobody reads our standard output any more.
#[derive(Debug, thiserror::Error)]
#[error("the standard output was closed")]
pub struct StdoutClosed;

/// Writes one line of data. Errors: [`StdoutClosed`] on a broken pipe, else the system's own.
pub fn line(text: impl fmt::Display) -> anyhow::Result<()> {
    write(format_args!("{text}\n"))
}

/// Writes a value as indented JSON. Errors: as [`line`].
pub fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// Writes text as it is. Errors: as [`line`].
pub fn write(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_fmt(text).and_then(|()| out.flush()).map_err(closed)
}

/// Writes bytes as they are. Errors: as [`line`].
pub fn bytes(data: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(data).and_then(|()| out.flush()).map_err(closed)
}

fn closed(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return StdoutClosed.into();
    }
    anyhow::Error::new(error).context("cannot write to the standard output")
}

/// A note for the person at the terminal, beside the data.
pub fn note(text: impl fmt::Display) {
    // Without a stderr there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Sends logs to stderr; `PENSTOCK_LOG` (as `RUST_LOG`: `debug`, `penstock_sidecar=trace,info`)
/// says how much, `default` when it is not set.
pub fn log_to_stderr(default: &str) {
    let filter = EnvFilter::try_from_env("PENSTOCK_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    // Fails only when a log is set up already, which then serves.
    let _ = logs.try_init();
}

/// An empty table with these headings, as narrow as its content.
pub fn table(headings: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(headings);
    table
}
