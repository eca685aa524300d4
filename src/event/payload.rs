//! A payload as it was parsed: borrowed, checked values in the order of the type's fields.

use super::check::{self, Scalar};
use super::common;
use super::kind::{MAX_FIELDS, TypeInfo};
use super::rejection::{Code, Rejection, cut, in_payload};
use super::text::Text;
use smallvec::SmallVec;

/// Most payload keys that the schema does not know.
pub const EXTRA_MAX: usize = 32;
/// Most bytes of such a key, and of its value.
pub const EXTRA_BYTES_MAX: usize = 256;
/// Most unknown keys in all, those with null included; bounds the search for duplicates.
const UNKNOWN_KEYS_MAX: usize = 2 * EXTRA_MAX;

/// The checked value of one field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Absent, null, or empty text.
    #[default]
    Absent,
    /// A campaign's number or an amount in micros.
    Int(i64),
    /// Text, borrowed.
    Text(Text<'a>),
    /// A country as two upper-case letters.
    Country([u8; 2]),
}

/// A key that the schema does not know; its value is `None` when it was null.
type Unknown<'a> = (&'a str, Option<&'a str>);

/// Values by field index, and what the schema does not know.
#[derive(Debug, Default)]
pub(crate) struct Payload<'a> {
    values: [Value<'a>; MAX_FIELDS],
    /// Bit i: field i has come, be it null.
    seen: u32,
    unknown: SmallVec<[Unknown<'a>; 4]>,
}

impl<'a> Payload<'a> {
    /// The value of the field at `index` of the type's fields.
    #[inline]
    pub(crate) fn value(&self, index: usize) -> Value<'a> {
        self.values[index]
    }

    /// Unknown keys with their values, in the order of the event.
    pub(crate) fn extra(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.unknown.iter().filter_map(|&(key, value)| Some((key, value?)))
    }

    /// Takes a known field. Errors: the rule that the value breaks, or `duplicate_key`.
    #[inline(always)]
    pub(crate) fn set(&mut self, kind: &TypeInfo, index: usize, scalar: Scalar<'a>) -> Result<(), Rejection> {
        let field = &kind.fields[index];
        if self.seen & (1 << index) != 0 {
            return Err(duplicate(field.name));
        }
        self.seen |= 1 << index;
        self.values[index] = check::field(field, scalar)?;
        Ok(())
    }

    /// Takes a key that the schema does not know, with its value as text.
    pub(crate) fn add_unknown(&mut self, key: &'a str, value: Option<&'a str>) -> Result<(), Rejection> {
        if self.unknown.iter().any(|(k, _)| *k == key) {
            return Err(duplicate(key));
        }
        if key.len() > EXTRA_BYTES_MAX || value.is_some_and(|v| v.len() > EXTRA_BYTES_MAX) {
            let rule = format!("is not in the schema, so key and value may have at most {EXTRA_BYTES_MAX} bytes each");
            return Err(Rejection::of(Code::TooLong, in_payload(key), &rule));
        }
        self.unknown.push((key, value));
        if self.unknown.len() > UNKNOWN_KEYS_MAX || self.unknown.len() > EXTRA_MAX && self.extra().count() > EXTRA_MAX {
            let rule = format!("has more than {EXTRA_MAX} keys that are not in the schema");
            return Err(Rejection::of(Code::TooManyExtra, "payload", &rule));
        }
        Ok(())
    }

    /// Fills `ip` and `user_agent` from the connection when the event has none. A hint that breaks
    /// the field's rule is left out, a user agent that is too long is cut.
    pub(crate) fn fill(&mut self, ip: Option<&'a str>, user_agent: Option<&'a str>) {
        if let (Value::Absent, Some(ip)) = (&self.values[common::IP], ip)
            && check::is_ip(ip)
        {
            self.values[common::IP] = Value::Text(ip.into());
        }
        if let (Value::Absent, Some(agent)) = (&self.values[common::USER_AGENT], user_agent)
            && !agent.is_empty()
        {
            self.values[common::USER_AGENT] = Value::Text(cut(agent, common::USER_AGENT_MAX).into());
        }
    }

    /// Checks what must be there. Errors: `missing_field`.
    pub(crate) fn complete(&self) -> Result<(), Rejection> {
        if self.values[common::TAG] == Value::Absent && self.values[common::CAMPAIGN_ID] == Value::Absent {
            return Err(Rejection::of(Code::MissingField, "payload.tag", "is required when there is no `campaign_id`"));
        }
        Ok(())
    }
}

fn duplicate(key: &str) -> Rejection {
    Rejection::of(Code::DuplicateKey, in_payload(key), "comes twice")
}
