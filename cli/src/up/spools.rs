//! The logs on disk: events, dead letters, campaign states and their figures.

use crate::parts::data_dir::DataDir;
use crate::parts::spools;
use penstock::log::spool::{Retention, Spool};
use penstock::settings::{Settings, SpoolSettings};
use penstock::telemetry::{SharedRegistry, SpoolMetrics};
use penstock::time::Clock;
use std::sync::Arc;
use std::time::Duration;

/// All spools of one process.
pub struct Spools {
    /// What the sidecar's workers append to, a partition each.
    pub events: Spool,
    /// Records that a sink could not take. Nothing is removed from it.
    pub dead: Spool,
    /// Stops and resumes, for every sidecar's stop list.
    pub campaign_state: Spool,
    /// Figures of campaigns, for live views; kept for an hour, read or not.
    pub campaign_kpis: Spool,
}

/// Segments of the small logs.
const SMALL_SEGMENT: u64 = 4 << 20;
/// Quota of the logs of states and figures.
const SMALL_QUOTA: u64 = 256 << 20;
/// A stop is on its way to the ad server: it does not wait as long as events may.
const STATE_SYNC: Duration = Duration::from_millis(5);
/// Figures that nobody has read by then are out of date anyway.
const KPIS_AGE: Duration = Duration::from_secs(3_600);

impl Spools {
    /// Opens all of them and logs what a crash had left.
    ///
    /// Errors: a folder in use, a disk that refuses, files of a newer version.
    pub fn open(
        dir: &DataDir,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        registry: &SharedRegistry,
    ) -> anyhow::Result<Spools> {
        let metrics = registry.with(SpoolMetrics::register);
        let small = SpoolSettings {
            segment_bytes: settings.spool.segment_bytes.min(SMALL_SEGMENT),
            max_bytes: settings.spool.max_bytes.min(SMALL_QUOTA),
            max_group_bytes: settings.spool.max_group_bytes.min(1 << 20),
            ..settings.spool.clone()
        };
        let open = |name: &str, settings, retention| spools::open(dir, name, 1, settings, retention, clock, &metrics);
        let kept = Retention { keys_window: Duration::ZERO, ..Retention::default() };
        // Dead letters carry records of any size, so only the quota is its own.
        let dead = SpoolSettings { segment_bytes: small.segment_bytes, ..settings.spool.clone() };
        let state = SpoolSettings { sync_interval: settings.spool.sync_interval.min(STATE_SYNC), ..small.clone() };
        let kpis = Retention { max_age: Some(KPIS_AGE), ..kept.clone() };
        Ok(Spools {
            events: spools::events(dir, settings, clock, &metrics)?,
            dead: open("dead", dead, kept.clone())?,
            campaign_state: open("campaign-state", state, kept)?,
            campaign_kpis: open("campaign-kpis", small, kpis)?,
        })
    }

    fn all(&self) -> [(&'static str, &Spool); 4] {
        [
            ("events", &self.events),
            ("dead", &self.dead),
            ("campaign-state", &self.campaign_state),
            ("campaign-kpis", &self.campaign_kpis),
        ]
    }

    /// Removes what every reader has passed.
    pub fn housekeep(&self) {
        for (name, spool) in self.all() {
            match spool.housekeep() {
                Ok(0) => {}
                Ok(segments) => tracing::debug!(spool = name, segments, "segments were removed"),
                Err(error) => tracing::warn!(spool = name, %error, "the spool could not be tidied"),
            }
        }
    }

    /// Syncs and closes all of them. A failure is logged: what was promised is on disk already or
    /// was refused.
    pub fn close(&self) {
        for (name, spool) in self.all() {
            if let Err(error) = spool.close() {
                tracing::error!(spool = name, %error, "the spool's last sync failed");
            }
        }
    }
}
