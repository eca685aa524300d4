//! GraphQL at `/graphql`: questions over POST, subscriptions over WebSocket.
//!
//! Resolvers ask the sources that REST asks. A question is bounded in depth, in complexity (a list
//! counts as often as it has rows) and in time; a connection in its subscriptions.

mod nodes;
mod query;
mod sources;
mod subscription;

pub(crate) use sources::Sources;

use crate::api::params::{self, Span};
use crate::api::problem::{Code, Problem};
use async_graphql::dataloader::DataLoader;
use async_graphql::{EmptyMutation, Error, ErrorExtensions};
use nodes::CampaignLoader;
use query::Query;
use std::sync::Arc;
use subscription::Subscription;
use tokio::sync::Semaphore;

/// Levels of a question.
const DEPTH: usize = 8;
/// Fields of a question, those of lists as often as there are rows.
const COMPLEXITY: usize = 20_000;
/// Rows of a list that says nothing else, and the most of a list within another.
const DEFAULT_FIRST: u32 = 50;
const MOST_FIRST: usize = 200;
/// Subscriptions of one connection.
const SUBSCRIPTIONS: usize = 32;

/// The schema with its sources.
pub(crate) type Schema = async_graphql::Schema<Query, EmptyMutation, Subscription>;

/// The places for subscriptions of one connection.
#[derive(Clone)]
pub(crate) struct Connection(Arc<Semaphore>);

impl Default for Connection {
    fn default() -> Self {
        Connection(Arc::new(Semaphore::new(SUBSCRIPTIONS)))
    }
}

/// The schema over these sources.
pub(crate) fn schema(sources: Arc<dyn Sources>) -> Schema {
    Schema::build(Query, EmptyMutation, Subscription)
        .data(DataLoader::new(CampaignLoader(sources.clone()), tokio::spawn))
        .data(sources)
        .limit_depth(DEPTH)
        .limit_complexity(COMPLEXITY)
        .finish()
}

/// A problem of the API as GraphQL tells it: its code is in `extensions`.
fn failed(problem: Problem) -> Error {
    let (code, field) = (problem.code.name(), problem.field.clone());
    Error::new(problem.detail).extend_with(|_, e| {
        e.set("code", code);
        if let Some(field) = field {
            e.set("field", field.into_owned());
        }
    })
}

fn refused(field: &'static str, why: &str) -> Error {
    failed(Problem::parameter(field, why))
}

/// `first` within its bounds.
fn first(given: Option<u32>, most: usize) -> Result<u32, Error> {
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    match given {
        Some(n) if n == 0 || n > most => Err(refused("first", &format!("must be 1 to {most}"))),
        given => Ok(given.unwrap_or(DEFAULT_FIRST).min(most)),
    }
}

/// Times as REST takes them.
fn span(start: Option<String>, end: Option<String>) -> Result<Span, Error> {
    let one = |name, text: Option<String>| text.map(|t| params::time(name, &t)).transpose().map_err(failed);
    let span = Span { start: one("startTime", start)?, end: one("endTime", end)? };
    match (span.start, span.end) {
        (Some(start), Some(end)) if start > end => {
            Err(failed(Problem::new(Code::BadRange, "startTime lies behind endTime").at("startTime")))
        }
        _ => Ok(span),
    }
}

#[cfg(test)]
mod tests;
