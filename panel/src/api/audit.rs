//! Who changed what.

use super::types::{AuditEntry, Time};
use super::{Outcome, Shared, limit, now, number_cursor, page, params};
use actix_web::HttpRequest;
use penstock::ledger::{self, AuditFilter, Ledger};

/// `GET /api/v1/audit`: the newest first.
pub async fn list<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = params(&request)?;
    let limit = limit(&app, &mut params)?;
    let filter = AuditFilter {
        before: number_cursor(&mut params)?,
        subject: params.text("subject"),
        who: params.text("who"),
        action: params.text("action"),
        limit: u32::try_from(limit + 1).unwrap_or(u32::MAX),
    };
    params.done()?;
    let mut rows = app.ledger.audit(&filter).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|r| r.id.to_string());
    page(rows.into_iter().map(AuditEntry::from).collect(), next, now(&app))
}

impl From<ledger::AuditEntry> for AuditEntry {
    fn from(row: ledger::AuditEntry) -> AuditEntry {
        // The ledger keeps JSON as text; a text that is none is shown as the text it is.
        let value = |text: String| serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text));
        AuditEntry {
            id: row.id,
            time: Time(row.at),
            who: row.who,
            action: row.action,
            subject: row.subject,
            before: value(row.before),
            after: value(row.after),
            why: row.why,
        }
    }
}
