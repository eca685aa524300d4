//! Where the roles put records that a sink cannot take: the topic `kafka.dead_topic`.

use penstock::pipeline::{DeadError, DeadTarget, Letter};
use penstock::settings::Settings;

/// Not there yet.
#[derive(Clone)]
pub struct Target;

/// The target. Errors: a setting cannot be used.
pub fn target(_settings: &Settings) -> anyhow::Result<Target> {
    Ok(Target)
}

impl DeadTarget for Target {
    async fn bury(&mut self, _letters: &[Letter<'_>]) -> Result<(), DeadError> {
        Err(DeadError("this build has no dead-letter topic yet".to_owned()))
    }
}
