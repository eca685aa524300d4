//! The records of the campaign-state and campaign-kpis logs, and their bytes.
//!
//! They travel like events: Avro single-object encoding (C3 01, CRC-64-AVRO fingerprint of the
//! writer schema, datum), so the same bytes go through the spool and through Kafka. A reader
//! takes a [`StateChange`] only when its version is above the one it holds for that campaign;
//! repeats after a crash of the publisher are therefore harmless.

use super::Reason;
use crate::pricing::CampaignId;
use crate::time::Micros;
use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use std::sync::LazyLock;

/// Schema of the campaign-state log.
pub const STATE_SCHEMA: &str = include_str!("../../schemas/avro/campaign_state.avsc");
/// Schema of the campaign-kpis log.
pub const KPIS_SCHEMA: &str = include_str!("../../schemas/avro/campaign_kpis.avsc");

/// No record of these logs is longer; longer bytes are not looked at.
const MAX_RECORD_BYTES: usize = 4 << 10;
const HEADER: usize = 10;

/// The state of one campaign as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// Given by the publisher, ascending; one version names one state for ever.
    pub version: u64,
    /// Whether the ad server may serve it.
    pub serving: bool,
    /// Why not; by weight, empty when serving.
    pub reasons: Vec<Reason>,
    /// When the state was taken.
    pub at: Micros,
    /// Earliest receive time of the range that crossed the budget; `None` when no event did.
    pub cause_received: Option<Micros>,
}

/// A sign of life: everything up to `version` is in the log before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The newest version published.
    pub version: u64,
    /// When it was written.
    pub at: Micros,
}

/// What the campaign-state log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateRecord {
    /// The state of one campaign.
    Change(StateChange),
    /// The publisher lives.
    Heartbeat(Heartbeat),
}

/// What the campaign-kpis log holds: the latest totals of one campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KpiRecord {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// Ascends with every change of the campaign's totals.
    pub sequence: u64,
    /// When it was written.
    pub at: Micros,
    /// Visits.
    pub visits: u64,
    /// Impressions.
    pub impressions: u64,
    /// Clicks.
    pub clicks: u64,
    /// Conversions.
    pub conversions: u64,
    /// All the campaign has spent, in nanos.
    pub spent_nanos: i64,
}

/// Why bytes are not a record of these logs.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Too long or too short to be one.
    #[error("a record of {0} bytes is none of this log")]
    Length(usize),
    /// Another schema, or none.
    #[error("the record's schema is not one this version knows")]
    UnknownSchema,
    /// Avro refused it, or bytes are left over.
    #[error("the record does not decode: {0}")]
    Body(String),
}

#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
#[serde(rename = "CampaignStateKind", rename_all = "snake_case")]
enum Kind {
    Change,
    Heartbeat,
}

// The Avro library compares the names of Rust types with the names of the schema.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename = "CampaignState")]
struct StateDatum {
    kind: Kind,
    version: i64,
    at: i64,
    campaign_id: i64,
    serving: bool,
    reasons: Vec<String>,
    cause_received: Option<i64>,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename = "CampaignKpis")]
struct KpiDatum {
    campaign_id: i64,
    sequence: i64,
    at: i64,
    visits: i64,
    impressions: i64,
    clicks: i64,
    conversions: i64,
    spent_nanos: i64,
}

struct Codec {
    schema: Schema,
    header: [u8; HEADER],
}

static STATE: LazyLock<Codec> = LazyLock::new(|| Codec::new(STATE_SCHEMA));
static KPIS: LazyLock<Codec> = LazyLock::new(|| Codec::new(KPIS_SCHEMA));

impl Codec {
    #[expect(clippy::expect_used, reason = "the schema is part of the binary and a test reads it")]
    fn new(json: &str) -> Codec {
        let schema = Schema::parse_str(json).expect("the schema in the source tree parses");
        let mut header = [0xC3, 0x01, 0, 0, 0, 0, 0, 0, 0, 0];
        header[2..].copy_from_slice(&schema.fingerprint::<Rabin>().bytes);
        Codec { schema, header }
    }

    fn encode<T: serde::Serialize>(&self, datum: &T, out: &mut Vec<u8>) -> Result<(), StateError> {
        let start = out.len();
        out.extend_from_slice(&self.header);
        let written = GenericDatumWriter::builder(&self.schema)
            .human_readable(false)
            .build()
            .and_then(|writer| writer.write_ser(out, datum));
        written.map(drop).map_err(|e| {
            out.truncate(start);
            StateError::Body(e.to_string())
        })
    }

    fn decode<T: serde::de::DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, StateError> {
        if !(HEADER..=MAX_RECORD_BYTES).contains(&bytes.len()) {
            return Err(StateError::Length(bytes.len()));
        }
        let (header, mut datum) = bytes.split_at(HEADER);
        if header != self.header {
            return Err(StateError::UnknownSchema);
        }
        let value = GenericDatumReader::builder(&self.schema)
            .human_readable(false)
            .build()
            .and_then(|reader| reader.read_deser(&mut datum))
            .map_err(|e| StateError::Body(e.to_string()))?;
        if datum.is_empty() { Ok(value) } else { Err(StateError::Body(format!("{} bytes are left over", datum.len()))) }
    }
}

impl StateRecord {
    /// The version the record carries.
    #[must_use]
    pub const fn version(&self) -> u64 {
        match self {
            StateRecord::Change(c) => c.version,
            StateRecord::Heartbeat(h) => h.version,
        }
    }

    /// Appends the framed bytes to `out`, which stays as it was on an error.
    ///
    /// Errors: [`StateError::Body`] when a number does not fit the schema.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), StateError> {
        let version = signed(self.version())?;
        let datum = match self {
            StateRecord::Change(c) => StateDatum {
                kind: Kind::Change,
                version,
                at: c.at.0,
                campaign_id: i64::from(c.campaign_id),
                serving: c.serving,
                reasons: c.reasons.iter().map(|r| r.name().to_owned()).collect(),
                cause_received: c.cause_received.map(|t| t.0),
            },
            StateRecord::Heartbeat(h) => StateDatum {
                kind: Kind::Heartbeat,
                version,
                at: h.at.0,
                campaign_id: 0,
                serving: true,
                reasons: Vec::new(),
                cause_received: None,
            },
        };
        STATE.encode(&datum, out)
    }

    /// Reads framed bytes. Errors: [`StateError`].
    pub fn decode(bytes: &[u8]) -> Result<StateRecord, StateError> {
        let datum: StateDatum = STATE.decode(bytes)?;
        let version = unsigned(datum.version)?;
        let at = Micros(datum.at);
        Ok(match datum.kind {
            Kind::Heartbeat => StateRecord::Heartbeat(Heartbeat { version, at }),
            Kind::Change => StateRecord::Change(StateChange {
                campaign_id: campaign(datum.campaign_id)?,
                version,
                serving: datum.serving,
                reasons: datum.reasons.iter().map(|r| Reason::from_name(r)).collect(),
                at,
                cause_received: datum.cause_received.map(Micros),
            }),
        })
    }
}

impl KpiRecord {
    /// Appends the framed bytes to `out`, which stays as it was on an error.
    ///
    /// Errors: [`StateError::Body`] when a number does not fit the schema.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), StateError> {
        let datum = KpiDatum {
            campaign_id: i64::from(self.campaign_id),
            sequence: signed(self.sequence)?,
            at: self.at.0,
            visits: signed(self.visits)?,
            impressions: signed(self.impressions)?,
            clicks: signed(self.clicks)?,
            conversions: signed(self.conversions)?,
            spent_nanos: self.spent_nanos,
        };
        KPIS.encode(&datum, out)
    }

    /// Reads framed bytes. Errors: [`StateError`].
    pub fn decode(bytes: &[u8]) -> Result<KpiRecord, StateError> {
        let datum: KpiDatum = KPIS.decode(bytes)?;
        Ok(KpiRecord {
            campaign_id: campaign(datum.campaign_id)?,
            sequence: unsigned(datum.sequence)?,
            at: Micros(datum.at),
            visits: unsigned(datum.visits)?,
            impressions: unsigned(datum.impressions)?,
            clicks: unsigned(datum.clicks)?,
            conversions: unsigned(datum.conversions)?,
            spent_nanos: datum.spent_nanos,
        })
    }
}

fn signed(n: u64) -> Result<i64, StateError> {
    i64::try_from(n).map_err(|_| StateError::Body(format!("{n} does not fit a long")))
}

fn unsigned(n: i64) -> Result<u64, StateError> {
    u64::try_from(n).map_err(|_| StateError::Body(format!("{n} is below 0")))
}

fn campaign(n: i64) -> Result<CampaignId, StateError> {
    CampaignId::try_from(n).map_err(|_| StateError::Body(format!("{n} is no campaign id")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use apache_avro::types::Value;
    use proptest::prelude::*;

    fn change() -> StateChange {
        StateChange {
            campaign_id: 1002,
            version: 17,
            serving: false,
            reasons: vec![Reason::TotalBudget, Reason::DailyBudget],
            at: Micros(1_700_000_000_000_000),
            cause_received: Some(Micros(1_699_999_999_900_000)),
        }
    }

    fn bytes(record: &StateRecord) -> Vec<u8> {
        let mut out = Vec::new();
        record.encode(&mut out).unwrap();
        out
    }

    #[test]
    fn the_avro_library_reads_what_is_published() {
        let bytes = bytes(&StateRecord::Change(change()));
        let schema = Schema::parse_str(STATE_SCHEMA).unwrap();
        assert_eq!(bytes[..2], [0xC3, 0x01]);
        assert_eq!(bytes[2..10], schema.fingerprint::<Rabin>().bytes[..]);
        let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut &bytes[10..]).unwrap();
        let Value::Record(fields) = value else { panic!("{value:?}") };
        let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap();
        assert_eq!(field("kind"), Value::Enum(0, "change".into()));
        assert_eq!(field("campaign_id"), Value::Long(1002));
        assert_eq!(field("at"), Value::TimestampMicros(1_700_000_000_000_000));
        assert_eq!(
            field("reasons"),
            Value::Array(vec![Value::String("total_budget".into()), Value::String("daily_budget".into())])
        );
        assert_eq!(field("cause_received"), Value::Union(1, Box::new(Value::TimestampMicros(1_699_999_999_900_000))));
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let heartbeat = StateRecord::Heartbeat(Heartbeat { version: 9, at: Micros(3) });
        for record in [StateRecord::Change(change()), heartbeat] {
            assert_eq!(StateRecord::decode(&bytes(&record)).unwrap(), record);
        }
        let kpis = KpiRecord {
            campaign_id: 7,
            sequence: 1,
            at: Micros(5),
            visits: 1,
            impressions: 2,
            clicks: 3,
            conversions: 4,
            spent_nanos: -5,
        };
        let mut out = Vec::new();
        kpis.encode(&mut out).unwrap();
        assert_eq!(KpiRecord::decode(&out).unwrap(), kpis);
        assert!(matches!(StateRecord::decode(&out), Err(StateError::UnknownSchema)));
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_and_never_a_panic(mut tail in proptest::collection::vec(any::<u8>(), 0..200), cut in 0..60usize) {
            let good = bytes(&StateRecord::Change(change()));
            let mut garbled = good[..cut.min(good.len())].to_vec();
            garbled.append(&mut tail);
            let _ = StateRecord::decode(&garbled);
            let _ = KpiRecord::decode(&garbled);
            prop_assert!(StateRecord::decode(&good[..good.len() - 1]).is_err());
        }
    }
}
