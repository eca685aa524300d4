//! Exit codes: part of what scripts rely on.

use crate::output::StdoutClosed;
use std::io::Write;
use std::process::ExitCode;

/// How a command that ran to its end went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 0: all as asked.
    Good,
    /// 3: done, but some lines were rejected.
    SomeRejected,
    /// 4: the stores differ.
    Different,
    /// 1: failed, and whoever wants to know has been told.
    Failed,
}

/// 2: the command was called wrongly, or asks for what this build does not have.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUsage(pub String);

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

/// Turns the outcome into the process's exit code; an error becomes one sentence on stderr.
pub fn report(outcome: anyhow::Result<Verdict>) -> ExitCode {
    let error = match outcome {
        Ok(Verdict::Good) => return ExitCode::SUCCESS,
        Ok(Verdict::SomeRejected) => return ExitCode::from(3),
        Ok(Verdict::Different) => return ExitCode::from(4),
        Ok(Verdict::Failed) => return ExitCode::from(FAILED),
        Err(error) => error,
    };
    // Whoever read our output (`head`) has seen enough; that is no failure.
    if error.is::<StdoutClosed>() {
        return ExitCode::SUCCESS;
    }
    // `{:#}` joins the causes; errors that already quote their cause are not repeated.
    let mut sentence = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !sentence.contains(&cause) {
            sentence = format!("{sentence}: {cause}");
        }
    }
    // Without a stderr there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "penstock: {sentence}");
    ExitCode::from(if error.is::<WrongUsage>() { WRONG_USAGE } else { FAILED })
}
