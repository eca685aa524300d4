//! What is accepted, and how much of it.

use super::SettingsError;
use std::time::Duration;

/// What is accepted, and how much of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntakeSettings {
    /// Largest request body, as sent and decompressed; more is 413. 1 KiB to 256 MiB. Default 16 << 20.
    pub max_body_bytes: usize,
    /// Largest single event as JSON; more is rejected with `event_too_large`. 256 to 1 MiB. Default 64 << 10.
    pub max_event_bytes: usize,
    /// Most events in one request; more is 413. 1 to 1 000 000. Default 50_000.
    pub max_events: usize,
    /// Bytes of bodies that may be held in memory while they arrive or wait, over all connections;
    /// beyond, requests answer 503 `overloaded`. At least `max_body_bytes`. Default 256 << 20.
    pub max_inflight_bytes: usize,
    /// Event times further ahead are rejected; at most 366 days. Default 1h.
    #[serde(with = "humantime_serde")]
    pub max_future: Duration,
    /// How long an `Idempotency-Key` is remembered; 1s to 7 days. Default 10m.
    #[serde(with = "humantime_serde")]
    pub idempotency_window: Duration,
    /// Most keys remembered at once; beyond, requests with a key answer 503 until old ones expire. Default 1_000_000.
    pub idempotency_max_keys: usize,
    /// Write keys accepted in `Penstock-Key`; empty = any, also none. Each 1 to 128 visible ASCII characters.
    pub keys: Vec<String>,
    /// Rate limit per write key.
    pub rate: RateSettings,
}

impl Default for IntakeSettings {
    fn default() -> Self {
        Self {
            max_body_bytes: 16 << 20,
            max_event_bytes: 64 << 10,
            max_events: 50_000,
            max_inflight_bytes: 256 << 20,
            max_future: Duration::from_secs(3600),
            idempotency_window: Duration::from_secs(600),
            idempotency_max_keys: 1_000_000,
            keys: Vec::new(),
            rate: RateSettings::default(),
        }
    }
}

impl IntakeSettings {
    /// Longest write key in bytes.
    pub const MAX_KEY_BYTES: usize = 128;

    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let within = |key, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(SettingsError::value(key, value, format!("from {low} to {high}")))
            }
        };
        within("intake.max_body_bytes", self.max_body_bytes, 1 << 10, 256 << 20)?;
        within("intake.max_event_bytes", self.max_event_bytes, 256, 1 << 20)?;
        within("intake.max_events", self.max_events, 1, 1_000_000)?;
        within("intake.max_inflight_bytes", self.max_inflight_bytes, self.max_body_bytes, usize::MAX)?;
        within("intake.idempotency_max_keys", self.idempotency_max_keys, 1, 100_000_000)?;
        within("intake.rate.max_keys", self.rate.max_keys, 1, 10_000_000)?;
        if self.max_future > Duration::from_secs(366 * 86_400) {
            return Err(SettingsError::value(
                "intake.max_future",
                format!("{:?}", self.max_future),
                "at most 366 days",
            ));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(7 * 86_400)).contains(&self.idempotency_window) {
            let window = format!("{:?}", self.idempotency_window);
            return Err(SettingsError::value("intake.idempotency_window", window, "from 1s to 7 days"));
        }
        for key in &self.keys {
            if key.is_empty() || key.len() > Self::MAX_KEY_BYTES || !key.bytes().all(|b| b.is_ascii_graphic()) {
                // The key is a secret: the message says which rule it broke, not what it is.
                let rule = "each 1 to 128 visible ASCII characters";
                return Err(SettingsError::value("intake.keys", "(not shown)", rule));
            }
        }
        if self.rate.burst > 0 && self.rate.events_per_second == 0 {
            let rule = "needs intake.rate.events_per_second above 0";
            return Err(SettingsError::value("intake.rate.burst", self.rate.burst, rule));
        }
        Ok(())
    }
}

/// Rate limit per write key: a token bucket counted in events.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateSettings {
    /// Events per second and key; 0 = no limit. Default 0.
    pub events_per_second: u32,
    /// How many events a key may send at once, and so the largest request; 0 = one second's worth. Default 0.
    pub burst: u32,
    /// Most keys counted apart; the ones beyond share one bucket until others fall silent. Default 10_000.
    pub max_keys: usize,
}

impl Default for RateSettings {
    fn default() -> Self {
        Self { events_per_second: 0, burst: 0, max_keys: 10_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_write_key_is_refused_without_being_shown() {
        let settings = IntakeSettings { keys: vec!["se cret".into()], ..IntakeSettings::default() };
        let message = settings.validate().map_err(|e| e.to_string()).err().unwrap_or_default();
        assert!(message.contains("intake.keys") && !message.contains("se cret"), "{message}");
    }

    #[test]
    fn what_is_held_in_memory_has_room_for_one_body() {
        let settings = IntakeSettings { max_inflight_bytes: 1 << 20, ..IntakeSettings::default() };
        assert!(settings.validate().is_err());
    }
}
