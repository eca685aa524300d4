//! `penstock sidecar|consume|panel`: the single roles of the cluster profile, a process each.
//!
//! A role starts with what it can do alone and says on `/readyz` what it still waits for: a server
//! that is away is waited for, without end and without a crash loop. A wrong configuration ends it
//! at once with one sentence. Each file wires one role; what they share with `penstock up` is in
//! [`crate::parts`].

pub mod args;
#[cfg(feature = "cluster")]
mod board;
#[cfg(feature = "cluster")]
mod consume;
#[cfg(feature = "cluster")]
mod dead;
#[cfg(feature = "cluster")]
mod health;
#[cfg(feature = "cluster")]
mod ledger;
#[cfg(feature = "cluster")]
mod panel;
#[cfg(feature = "cluster")]
mod peers;
#[cfg(feature = "cluster")]
mod process;
#[cfg(feature = "cluster")]
mod registry;
#[cfg(feature = "cluster")]
mod sidecar;
#[cfg(feature = "cluster")]
mod standing;

use crate::args::Command;
use crate::exit::{Verdict, WrongUsage};
use args::{ConsumeArgs, SinkName};

/// Runs the role that `command` names.
///
/// Errors: one sentence; [`WrongUsage`] when this build or the configuration knows no cluster.
pub fn run(command: Command) -> anyhow::Result<Verdict> {
    match command {
        // A file is read, nobody's log: that needs no Kafka and no feature.
        Command::Consume(ConsumeArgs { sink: SinkName::Statistics, from: Some(file), role, file_options }) => {
            crate::client(crate::commands::load::run(file_options, role.config, file))
        }
        Command::Consume(ConsumeArgs { from: Some(_), .. }) => {
            Err(WrongUsage("--from goes with `penstock consume statistics` only".to_owned()).into())
        }
        command => start(command),
    }
}

#[cfg(feature = "cluster")]
fn start(command: Command) -> anyhow::Result<Verdict> {
    match command {
        Command::Sidecar(args) => process::run("sidecar", args.role, sidecar::Sidecar::start),
        Command::Panel(args) => process::run("panel", args.role, panel::Panel::start),
        Command::Consume(args) => consume::run(args),
        other => Err(WrongUsage(format!("{other:?} is no role")).into()),
    }
}

/// Says what there is instead: on one machine a role alone would have nobody to talk to.
#[cfg(not(feature = "cluster"))]
fn start(command: Command) -> anyhow::Result<Verdict> {
    let what = match &command {
        Command::Consume(args) => args.sink.role(),
        Command::Panel(_) => "panel",
        _ => "sidecar",
    };
    Err(WrongUsage(format!(
        "`penstock {what}` is one role of the cluster profile, which this build does not have; `penstock up` runs all roles on this machine"
    ))
    .into())
}
