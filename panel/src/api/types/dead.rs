//! Dead letters: the list, one letter, what a replay asks and answers; and gaps.

use super::Time;
use serde::{Deserialize, Serialize};

/// One record that a sink could not take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeadLetter {
    /// `{sink}:{log}:{partition}:{offset}`; what `GET /api/v1/dead/{id}` takes.
    pub id: String,
    /// The sink that refused it.
    pub sink: String,
    /// Log.
    pub log: String,
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
    /// Why: `corrupt`, `bad_frame`, `unknown_schema`, `bad_body`, `invalid`.
    pub code: String,
    /// The field at fault, when one is.
    pub field: Option<String>,
    /// One sentence for a person.
    pub message: String,
    /// Type of the event, when its frame still says so.
    pub event_type: Option<String>,
    /// When it was put away.
    pub time: Option<Time>,
    /// Length of the record in bytes.
    pub bytes: u64,
    /// Who had its record appended again, when, and where it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed: Option<ReplayedBy>,
    /// Only in `GET /api/v1/dead/{id}`: the record as JSON, when it decodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<serde_json::Value>,
    /// Only in `GET /api/v1/dead/{id}`: the record's bytes in hexadecimal, the first 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_hex: Option<String>,
}

/// A replay that was done: to all sinks, or to the letter's own alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReplayedBy {
    /// Who.
    pub who: String,
    /// When.
    pub time: Time,
    /// The log that the record is in now.
    pub log: String,
    /// The partition.
    pub partition: u32,
    /// The offset; `null` when the broker did not say.
    pub offset: Option<u64>,
}

/// Body of `POST /api/v1/dead/replay`: either `ids`, or which letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// These letters, at most 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    /// Letters of this sink; those of `to` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Letters with this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// At most so many of them, 1 to 1000; 1000 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// To this sink alone, which put them aside while others hold them; to all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Only says what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// For the audit, at most 500 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Answer of `POST /api/v1/dead/replay`: each letter that was asked for is in one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReplayReport {
    /// Appended again, or what would be.
    pub replayed: Vec<ReplayedLetter>,
    /// Left alone.
    pub refused: Vec<RefusedLetter>,
}

/// A letter whose record was appended again. Letters of one record share its new place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReplayedLetter {
    /// The letter.
    pub id: String,
    /// The log that the record is in now; `null` in a dry run.
    pub log: Option<String>,
    /// The partition.
    pub partition: Option<u32>,
    /// The offset; also `null` when the broker did not say.
    pub offset: Option<u64>,
}

/// A letter that was left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RefusedLetter {
    /// The letter.
    pub id: String,
    /// `dead_letter_not_found`, `replayed`, `not_everywhere`, `not_put_aside`, `elsewhere`,
    /// `body_lost`, `registry_away`, `under_way`, `unknown`, `refused`, `gap`, or the code of what is
    /// still wrong with the record.
    pub code: String,
    /// One sentence.
    pub why: String,
}

/// Offsets that retention took before a sink had come to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Gap {
    /// `{sink}:{log}:{partition}:{offset}`; what `POST /api/v1/gaps/skip` takes.
    pub id: String,
    /// The sink that stands before it.
    pub sink: String,
    /// Log.
    pub log: String,
    /// Partition.
    pub partition: u32,
    /// First offset that is gone.
    pub offset: u64,
    /// Up to where, when it was met.
    pub message: String,
    /// When it was met.
    pub time: Time,
    /// Who let the sink pass.
    pub skip: Option<GapSkip>,
    /// Whether the sink has passed it; `null` while its position is not known.
    pub passed: Option<bool>,
}

/// Who let a sink pass a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GapSkip {
    /// Who.
    pub who: String,
    /// When.
    pub time: Time,
    /// Why.
    pub why: String,
}

/// Body of `POST /api/v1/gaps/skip`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GapSkipRequest {
    /// The gap.
    pub id: String,
    /// Why its loss is accepted, for the audit: 1 to 500 bytes.
    pub reason: String,
}
