//! The housekeeper: tidies the spools by the clock.

use super::spools::Spools;
use penstock::actors::{Child, Ended, Incarnation};
use std::sync::Arc;
use std::time::Duration;

/// How often the spools are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Removes from the spools what everybody has read.
pub fn spools(spools: Arc<Spools>) -> Child {
    Child::new("spool-housekeeper", move |life: Incarnation| {
        let spools = spools.clone();
        async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(EVERY) => {}
                    () = life.stop.cancelled() => return Ended::Stopped,
                }
                let spools = spools.clone();
                // It removes files and syncs folders, which blocks.
                if let Err(error) = tokio::task::spawn_blocking(move || spools.housekeep()).await {
                    return Ended::Failed(error.to_string());
                }
            }
        }
    })
}
