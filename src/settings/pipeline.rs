//! What all pipelines and actors share: threads, mailboxes, retry and alerting.

use super::SettingsError;
use std::time::Duration;

/// What all pipelines and actors share.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PipelineSettings {
    /// Threads that pipelines run on; each holds its share of them. 1 to 64. Default 3: one a sink.
    pub threads: usize,
    /// Control messages (start, restart, cut) that may wait for one actor. 1 to 4096. Default 16.
    pub control_mailbox: usize,
    /// Back-off of failed writes and of restarts.
    pub retry: RetrySettings,
    /// A batch that waits longer for a newer catalogue snapshot raises an alert. Above 0. Default 30s.
    #[serde(with = "humantime_serde")]
    pub snapshot_wait_alert: Duration,
}

impl Default for PipelineSettings {
    fn default() -> Self {
        Self {
            threads: 3,
            control_mailbox: 16,
            retry: RetrySettings::default(),
            snapshot_wait_alert: Duration::from_secs(30),
        }
    }
}

impl PipelineSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        if !(1..=64).contains(&self.threads) {
            return Err(SettingsError::value("pipeline.threads", self.threads, "must be 1 to 64"));
        }
        if !(1..=4096).contains(&self.control_mailbox) {
            return Err(SettingsError::value("pipeline.control_mailbox", self.control_mailbox, "must be 1 to 4096"));
        }
        if self.snapshot_wait_alert.is_zero() {
            return Err(SettingsError::value("pipeline.snapshot_wait_alert", "0s", "must be above 0"));
        }
        self.retry.validate()
    }
}

/// Exponential back-off with jitter.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySettings {
    /// First wait; jitter adds up to as much again. 1 ms or more. Default 100 ms.
    #[serde(with = "humantime_serde")]
    pub first: Duration,
    /// Longest wait, jitter included; from twice `first` to 10 minutes. Default 10 s. Retries never
    /// end by themselves: the log keeps the events.
    #[serde(with = "humantime_serde")]
    pub longest: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), longest: Duration::from_secs(10) }
    }
}

impl RetrySettings {
    fn validate(&self) -> Result<(), SettingsError> {
        if self.first < Duration::from_millis(1) {
            return Err(SettingsError::value("pipeline.retry.first", text(self.first), "must be 1ms or more"));
        }
        if self.longest < self.first * 2 || self.longest > Duration::from_secs(600) {
            let rule = "must be from twice pipeline.retry.first to 10min";
            return Err(SettingsError::value("pipeline.retry.longest", text(self.longest), rule));
        }
        Ok(())
    }
}

/// As a person wrote it, e.g. `1m 30s`.
fn text(d: Duration) -> String {
    format!("{d:?}")
}
