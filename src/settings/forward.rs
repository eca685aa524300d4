//! The forwarder: from the sidecar's spool to Kafka.

use super::SettingsError;
use std::time::Duration;

/// The forwarder: from the sidecar's spool to Kafka. It runs when `kafka.brokers` is set.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardSettings {
    /// Most records of one range: so many are under way at once from each spool partition.
    /// 1 to 1 000 000. Default 20 000.
    pub max_rows: usize,
    /// Most bytes of one range. 64 KiB to 256 MiB. Default 4 MiB.
    pub max_bytes: usize,
    /// A range is sent at the latest so long after its first record was read, and at once while an
    /// answer waits for Kafka. Each range costs some milliseconds of processor time, here and in the
    /// brokers. 0 to 10s. Default 50ms.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// Most bytes that wait in librdkafka, over all spool partitions. 1 MiB to 2 GiB. Default 64 MiB.
    pub buffer_bytes: usize,
    /// How long messages of a partition wait for others before they are sent. 0 to 1s. Default 2ms.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// Codec of the batches on the wire and in Kafka: "none", "lz4" or "zstd". Default "lz4".
    pub compression: Compression,
    /// Most bytes of one message, `message.max.bytes` of the topics; a larger event becomes a dead
    /// letter. 16 KiB to 100 MiB. Default 1 000 000.
    pub max_message_bytes: usize,
    /// After so long without all acknowledgements the state shows it; the range goes on waiting.
    /// 100ms to 10m. Default 10s.
    #[serde(with = "humantime_serde")]
    pub ack_wait: Duration,
    /// After an unclean stop: longest standstill while the tails of the topics are read; then it
    /// begins anew. 1s to 1h. Default 30s.
    #[serde(with = "humantime_serde")]
    pub tail_timeout: Duration,
    /// How often the number of partitions is looked at. 1s to 1h. Default 30s.
    #[serde(with = "humantime_serde")]
    pub refresh: Duration,
    /// Send a range again although Kafka's retention has passed what could tell whether it had
    /// arrived: its events may then count twice. Default false.
    pub resend_lost: bool,
}

/// Codec of batches in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As they are.
    None,
    /// Fast.
    Lz4,
    /// Smaller, at about three times the work.
    Zstd,
}

impl Compression {
    /// The name that librdkafka has.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

impl Default for ForwardSettings {
    fn default() -> Self {
        Self {
            max_rows: 20_000,
            max_bytes: 4 << 20,
            max_age: Duration::from_millis(50),
            buffer_bytes: 64 << 20,
            linger: Duration::from_millis(2),
            compression: Compression::Lz4,
            max_message_bytes: 1_000_000,
            ack_wait: Duration::from_secs(10),
            tail_timeout: Duration::from_secs(30),
            refresh: Duration::from_secs(30),
            resend_lost: false,
        }
    }
}

impl ForwardSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let whole = |key, value: usize, least: usize, most: usize| {
            let fits = (least..=most).contains(&value);
            fits.then_some(()).ok_or_else(|| SettingsError::value(key, value, format!("must be {least} to {most}")))
        };
        whole("forward.max_rows", self.max_rows, 1, 1_000_000)?;
        whole("forward.max_bytes", self.max_bytes, 64 << 10, 256 << 20)?;
        whole("forward.buffer_bytes", self.buffer_bytes, 1 << 20, 2 << 30)?;
        whole("forward.max_message_bytes", self.max_message_bytes, 16 << 10, 100 << 20)?;
        let time = |key, value: Duration, least_ms: u64, most_ms: u64| {
            let (least, most) = (Duration::from_millis(least_ms), Duration::from_millis(most_ms));
            let fits = (least..=most).contains(&value);
            let rule = || SettingsError::value(key, format!("{value:?}"), format!("must be {least:?} to {most:?}"));
            fits.then_some(()).ok_or_else(rule)
        };
        time("forward.max_age", self.max_age, 0, 10_000)?;
        time("forward.linger", self.linger, 0, 1_000)?;
        time("forward.ack_wait", self.ack_wait, 100, 600_000)?;
        time("forward.tail_timeout", self.tail_timeout, 1_000, 3_600_000)?;
        time("forward.refresh", self.refresh, 1_000, 3_600_000)
    }
}
