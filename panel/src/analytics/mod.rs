//! What people do one after the other, by their user ids and on the events' own time. All of it is
//! computed by ClickHouse's own functions: nothing is counted or tested for significance here.
//!
//! Events without a user id are nobody's and take part in none of it.

mod ab;
mod funnel;
mod retention;
mod users;

pub use ab::{Ab, CONFIDENCES, Metric};
pub use funnel::{Funnel, MOST_STEPS};
pub use retention::{Retention, Unit};
pub use users::Users;

use crate::api::params::Span;
use crate::explore::{Filter, within};
use crate::statistics::Question;

/// `FROM events` with the times and the filter of a question about users.
fn of_users(q: Question, span: Span, filter: &Filter) -> Question {
    filter.apply(within(q.and("FROM events WHERE user_id != ''"), span, "time"))
}
