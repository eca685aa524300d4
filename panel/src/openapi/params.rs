//! Parameters as the document names them.

use serde_json::json;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Required, Schema};

/// What a parameter takes.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    /// Any text.
    Text,
    /// An RFC 3339 time, or milliseconds since 1970.
    Time,
    /// `60`, `5m`, `1h`, `1d`.
    Duration,
    /// A whole number.
    Number(u64, u64),
    /// One of these.
    Word(&'static [&'static str]),
    /// A UUID.
    Uuid,
    /// JSON of conditions.
    Filter,
}

/// Name, what it takes, what it is for.
pub(super) type P = (&'static str, Takes, &'static str);

pub(super) const START: P = ("start_time", Takes::Time, "First time of the events.");
pub(super) const END: P = ("end_time", Takes::Time, "First time behind them.");
pub(super) const LIMIT: P = ("limit", Takes::Number(1, 1_000), "Most rows; at most `panel.max_limit`.");
pub(super) const CURSOR: P = ("cursor", Takes::Text, "`next_cursor` of the page before, as it is.");
pub(super) const TYPE: P = ("event_type", Takes::Word(TYPES), "Only this type.");
pub(super) const CAMPAIGN: P =
    ("campaign_id", Takes::Number(0, u32::MAX as u64), "Only this campaign; 0: what could not be attributed.");
pub(super) const FILTER: P = (
    "filter",
    Takes::Filter,
    "Conditions, all of which hold: `[{\"dim\":\"country\",\"op\":\"in\",\"values\":[\"DE\"]}]`; op is in, not_in or starts_with.",
);
pub(super) const STEP: P = ("step", Takes::Duration, "Length of a step.");
pub(super) const GROUP_BY: P = ("group_by", Takes::Text, "Up to three dimensions with commas between them.");
pub(super) const MEASURES: P = ("measures", Takes::Text, "Measures with commas between them; `events` unless given.");
pub(super) const ORDER_BY: P = ("order_by", Takes::Text, "One of the columns; with `-` in front the other way round.");
const TYPES: &[&str] = &["impression", "visit", "click", "conversion"];

/// A parameter of the query.
pub(super) fn query((name, takes, about): P) -> Parameter {
    parameter(name, takes, about, ParameterIn::Query)
}

/// A parameter of the path.
pub(super) fn path(name: &str) -> Parameter {
    let (takes, about) = match name {
        "id" => (Takes::Text, "Its number or id."),
        "dim" => (Takes::Text, "The dimension's name."),
        _ => (Takes::Text, "Its name."),
    };
    parameter(name, takes, about, ParameterIn::Path)
}

fn parameter(name: &str, takes: Takes, about: &str, place: ParameterIn) -> Parameter {
    let required = if matches!(place, ParameterIn::Path) { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(about))
        .schema(Some(schema(takes)))
        .build()
}

fn schema(takes: Takes) -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let built = match takes {
        Takes::Text => text,
        Takes::Time => text.examples(["2017-11-06T16:00:00Z"]),
        Takes::Duration => text.pattern(Some("^[1-9][0-9]{0,6}[smhd]?$")).examples(["1h"]),
        Takes::Word(words) => text.enum_values(Some(words.iter().copied())),
        Takes::Uuid => text.format(Some(SchemaFormat::Custom("uuid".to_owned()))),
        Takes::Filter => text.examples([json!(r#"[{"dim":"country","op":"in","values":["DE"]}]"#)]),
        Takes::Number(min, max) => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(min))
            .maximum(Some(max)),
    };
    Schema::Object(built.build())
}
