//! The balances sink, its ledger, and the publisher of campaign states.

use super::SettingsError;
use std::time::Duration;

/// Most events of one transaction: beyond it the writer is held for seconds.
const MAX_ROWS: usize = 1_000_000;

/// The balances sink, its ledger, and the publisher of campaign states.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BalancesSettings {
    /// Events of one transaction, 1 to 1 000 000. Default 50_000.
    pub max_rows: usize,
    /// Bytes of one transaction before decoding, 4 KiB to 1 GiB. Default 16 << 20.
    pub max_bytes: usize,
    /// Longest time an event waits for others, up to 10 s; part of the stop latency. Default 100ms.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// How far ahead an import sets `known_from`, 200 ms to 1 min; it returns when this has
    /// passed. The same for all processes on one ledger. Default 2s.
    #[serde(with = "humantime_serde")]
    pub known_lead: Duration,
    /// How often consumers load the catalogue, from 10 ms; below half of `known_lead`. Default 500ms.
    #[serde(with = "humantime_serde")]
    pub snapshot_interval: Duration,
    /// Horizon in days within which a repeated click or conversion id is charged once, 1 to 400;
    /// counted from when the event was received. Default 35.
    pub unique_days: u32,
    /// How often the publisher looks for changes that another process made, 10 ms to 10 s; those
    /// of its own process wake it. Default 250ms.
    #[serde(with = "humantime_serde")]
    pub outbox_poll: Duration,
    /// How often the publisher writes a sign of life, 100 ms to 1 min; a stop list that hears
    /// nothing for some of these says `stale`. Default 2s.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// How often changed totals of campaigns are published, 100 ms to 1 min: live views show them then. Default 500ms.
    #[serde(with = "humantime_serde")]
    pub kpis_interval: Duration,
    /// How often the ledger is purged and folded, 1 s to 1 day. Default 1m.
    #[serde(with = "humantime_serde")]
    pub housekeeping_interval: Duration,
    /// Age at which the rows of ranges are folded into one row a day, from 1 min. Default 1h.
    #[serde(with = "humantime_serde")]
    pub fold_after: Duration,
    /// Age at which published outbox rows are removed (a campaign's newest stays), from 1 min.
    /// Default 7d.
    #[serde(with = "humantime_serde")]
    pub outbox_keep: Duration,
}

impl Default for BalancesSettings {
    fn default() -> Self {
        Self {
            max_rows: 50_000,
            max_bytes: 16 << 20,
            max_age: Duration::from_millis(100),
            known_lead: Duration::from_secs(2),
            snapshot_interval: Duration::from_millis(500),
            unique_days: 35,
            outbox_poll: Duration::from_millis(250),
            heartbeat: Duration::from_secs(2),
            kpis_interval: Duration::from_millis(500),
            housekeeping_interval: Duration::from_secs(60),
            fold_after: Duration::from_secs(3_600),
            outbox_keep: Duration::from_secs(7 * 86_400),
        }
    }
}

impl BalancesSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        const MS: Duration = Duration::from_millis(1);
        const SECOND: Duration = Duration::from_secs(1);
        const MINUTE: Duration = Duration::from_secs(60);
        const DAY: Duration = Duration::from_secs(86_400);
        if !(1..=MAX_ROWS).contains(&self.max_rows) {
            let rule = format!("1 to {MAX_ROWS}");
            return Err(SettingsError::value("balances.max_rows", self.max_rows, rule));
        }
        if !(4 << 10..=1 << 30).contains(&self.max_bytes) {
            return Err(SettingsError::value("balances.max_bytes", self.max_bytes, "4 KiB to 1 GiB"));
        }
        if !(1..=400).contains(&self.unique_days) {
            return Err(SettingsError::value("balances.unique_days", self.unique_days, "1 to 400 days"));
        }
        between("balances.max_age", self.max_age, MS, 10 * SECOND)?;
        between("balances.known_lead", self.known_lead, 200 * MS, MINUTE)?;
        between("balances.outbox_poll", self.outbox_poll, 10 * MS, 10 * SECOND)?;
        between("balances.heartbeat", self.heartbeat, 100 * MS, MINUTE)?;
        between("balances.kpis_interval", self.kpis_interval, 100 * MS, MINUTE)?;
        between("balances.housekeeping_interval", self.housekeeping_interval, SECOND, DAY)?;
        between("balances.fold_after", self.fold_after, MINUTE, 3_650 * DAY)?;
        between("balances.outbox_keep", self.outbox_keep, MINUTE, 3_650 * DAY)?;
        if self.snapshot_interval < 10 * MS || self.snapshot_interval >= self.known_lead / 2 {
            let rule = "from 10 ms to below half of balances.known_lead, or batches wait for the catalogue";
            let value = humantime_serde::re::humantime::format_duration(self.snapshot_interval);
            return Err(SettingsError::value("balances.snapshot_interval", value, rule));
        }
        Ok(())
    }

    /// How long the ledger keeps what it does not need for ever.
    #[must_use]
    pub fn horizons(&self) -> crate::ledger::Horizons {
        crate::ledger::Horizons { unique_days: self.unique_days, fold_after: self.fold_after, outbox: self.outbox_keep }
    }
}

pub(super) fn between(
    key: &'static str,
    value: Duration,
    least: Duration,
    most: Duration,
) -> Result<(), SettingsError> {
    use humantime_serde::re::humantime::format_duration;
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let rule = format!("{} to {}", format_duration(least), format_duration(most));
    Err(SettingsError::value(key, format_duration(value), rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_its_bounds_names_its_key() {
        type Spoil = fn(&mut BalancesSettings);
        let cases: [(&str, Spoil); 5] = [
            ("balances.max_rows", |s| s.max_rows = 1_000_001),
            ("balances.max_bytes", |s| s.max_bytes = 0),
            ("balances.snapshot_interval", |s| s.snapshot_interval = Duration::from_secs(1)),
            ("balances.heartbeat", |s| s.heartbeat = Duration::ZERO),
            ("balances.unique_days", |s| s.unique_days = 0),
        ];
        assert!(BalancesSettings::default().validate().is_ok());
        for (key, spoil) in cases {
            let mut settings = BalancesSettings::default();
            spoil(&mut settings);
            assert!(settings.validate().is_err_and(|e| e.to_string().starts_with(key)), "{key}");
        }
    }
}
