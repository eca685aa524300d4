//! Why an event is not accepted: a stable code, the field at fault and one sentence.

use std::borrow::Cow;
use std::fmt;

/// The kind of fault; its [`name`](Code::name) is part of the interface and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// `event_too_large`: longer than `intake.max_event_bytes`.
    EventTooLarge,
    /// `invalid_utf8`: not UTF-8.
    InvalidUtf8,
    /// `invalid_json`: not one JSON value; the message has line and column.
    InvalidJson,
    /// `missing_field`: a required field is absent or null.
    MissingField,
    /// `unknown_field`: the envelope has a key that nobody knows.
    UnknownField,
    /// `duplicate_key`: a key comes twice in one object.
    DuplicateKey,
    /// `unknown_type`: no event type has this name.
    UnknownType,
    /// `invalid_type`: a value of the wrong JSON type.
    InvalidType,
    /// `invalid_value`: the right JSON type, but not a value of this field.
    InvalidValue,
    /// `out_of_range`: a number or a time outside the field's bounds.
    OutOfRange,
    /// `too_long`: a text or a key of too many bytes.
    TooLong,
    /// `too_many_extra`: too many payload keys that the schema does not know.
    TooManyExtra,
    /// `time_in_future`: further ahead of the sidecar's clock than `intake.max_future`.
    TimeInFuture,
}

impl Code {
    /// Every code, for metrics and documentation.
    pub const ALL: [Code; 13] = [
        Code::EventTooLarge,
        Code::InvalidUtf8,
        Code::InvalidJson,
        Code::MissingField,
        Code::UnknownField,
        Code::DuplicateKey,
        Code::UnknownType,
        Code::InvalidType,
        Code::InvalidValue,
        Code::OutOfRange,
        Code::TooLong,
        Code::TooManyExtra,
        Code::TimeInFuture,
    ];

    /// The stable name, e.g. `missing_field`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Code::EventTooLarge => "event_too_large",
            Code::InvalidUtf8 => "invalid_utf8",
            Code::InvalidJson => "invalid_json",
            Code::MissingField => "missing_field",
            Code::UnknownField => "unknown_field",
            Code::DuplicateKey => "duplicate_key",
            Code::UnknownType => "unknown_type",
            Code::InvalidType => "invalid_type",
            Code::InvalidValue => "invalid_value",
            Code::OutOfRange => "out_of_range",
            Code::TooLong => "too_long",
            Code::TooManyExtra => "too_many_extra",
            Code::TimeInFuture => "time_in_future",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

/// One event that was not accepted. Bounded in size whatever the event was: the sender's own
/// text appears in it only as a key, cut to [`SHOWN_MAX`](Rejection::SHOWN_MAX) bytes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// What kind of fault.
    pub code: Code,
    /// The field at fault with its path, e.g. `payload.tag`; `None` when it is the whole event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<Cow<'static, str>>,
    /// One sentence for a person.
    pub message: String,
}

impl Rejection {
    /// Most bytes of a sender's key that a rejection repeats.
    pub const SHOWN_MAX: usize = 64;

    pub(crate) fn whole(code: Code, message: impl Into<String>) -> Rejection {
        Rejection { code, field: None, message: message.into() }
    }

    pub(crate) fn of(code: Code, field: impl Into<Cow<'static, str>>, rule: &str) -> Rejection {
        let field = field.into();
        let message = format!("`{field}` {rule}");
        Rejection { code, field: Some(field), message }
    }
}

/// A sender's key, cut to what a rejection may repeat.
pub(crate) fn shown(key: &str) -> &str {
    cut(key, Rejection::SHOWN_MAX)
}

/// The text's longest beginning of at most `max` bytes.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The path of a payload key.
pub(crate) fn in_payload(key: &str) -> Cow<'static, str> {
    Cow::Owned(format!("payload.{}", shown(key)))
}
