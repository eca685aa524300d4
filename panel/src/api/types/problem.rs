//! What every error answer looks like (RFC 9457).

use serde::{Deserialize, Serialize};

/// Body of an `application/problem+json` answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProblemBody {
    /// `urn:penstock:problem:{code}`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status's own words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable, for programs: `bad_parameter`, `unavailable`, …
    pub code: String,
    /// One sentence for a person: what was wrong, and what to do.
    pub detail: String,
    /// The parameter or body field at fault, when one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}
