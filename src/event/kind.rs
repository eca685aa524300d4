//! What an event type is: a name, a topic, a schema and a list of payload fields.
//!
//! Parsing, encoding and decoding are driven by this description, so a new type brings no code
//! with it: one file that declares a [`TypeInfo`], one schema, one line in
//! [`TYPES`](super::TYPES).

use super::common;
use super::written::WrittenKey;
use crate::codec::registry::{self, WriterSchema};
use crate::pricing::PricedAs;
use std::fmt;
use std::sync::OnceLock;

/// Most payload fields a type may declare.
pub const MAX_FIELDS: usize = 32;

/// What a payload field holds, and the rule its value is checked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A campaign's number: an integer from 1 to 4 294 967 295.
    Campaign,
    /// Text of at most this many bytes of UTF-8.
    Text(usize),
    /// An IPv4 or IPv6 address in text form, kept as it was written.
    Ip,
    /// Two letters A–Z; lower case is taken and kept as upper case.
    Country,
    /// An amount in micros: an integer from 0 to [`MICROS_MAX`](super::MICROS_MAX).
    Micros,
}

/// One field of a payload. All fields are optional; null and empty text are the same as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its key in JSON and its name in the Avro schema.
    pub name: &'static str,
    /// What it holds.
    pub kind: FieldKind,
}

impl Field {
    /// A text field of at most `max` bytes.
    #[must_use]
    pub const fn text(name: &'static str, max: usize) -> Field {
        Field { name, kind: FieldKind::Text(max) }
    }

    /// An amount in micros.
    #[must_use]
    pub const fn micros(name: &'static str) -> Field {
        Field { name, kind: FieldKind::Micros }
    }
}

/// An event type. There is one `static` of it a type; compare by name or by address.
pub struct TypeInfo {
    /// The value of `type` in JSON, and the name of the per-type route.
    pub name: &'static str,
    /// The topic its records go to on the cluster profile.
    pub topic: &'static str,
    /// Which rate of the campaign it is charged with.
    pub priced_as: PricedAs,
    /// The Avro schema that new records are written with.
    pub schema_json: &'static str,
    /// Earlier versions of the schema that records may still be written with, oldest first.
    pub earlier: &'static [&'static str],
    /// Payload fields in the order of the schema: [`common::FIELDS`] first, then its own.
    pub fields: &'static [Field],
    /// The fields' keys, then [`WrittenKey::NONE`].
    keys: [WrittenKey; MAX_FIELDS],
    writer: OnceLock<&'static WriterSchema>,
}

impl TypeInfo {
    /// Declares a type that has one version of its schema so far.
    #[must_use]
    pub const fn new(
        name: &'static str,
        topic: &'static str,
        priced_as: PricedAs,
        schema_json: &'static str,
        fields: &'static [Field],
    ) -> TypeInfo {
        assert!(fields.len() <= MAX_FIELDS, "a type has at most MAX_FIELDS payload fields");
        assert!(fields.len() >= common::FIELDS.len(), "a type has the common fields");
        let mut keys = [WrittenKey::NONE; MAX_FIELDS];
        let mut i = 0;
        while i < fields.len() {
            keys[i] = WrittenKey::of(fields[i].name);
            i += 1;
        }
        TypeInfo { name, topic, priced_as, schema_json, earlier: &[], fields, keys, writer: OnceLock::new() }
    }

    /// Names the earlier versions of the schema, oldest first.
    #[must_use]
    pub const fn with_earlier(mut self, earlier: &'static [&'static str]) -> TypeInfo {
        self.earlier = earlier;
        self
    }

    /// The schema that new records of this type are written with.
    pub fn writer(&'static self) -> &'static WriterSchema {
        self.writer.get_or_init(|| registry::current(self))
    }

    /// The fields' keys as they are written, by index.
    #[inline]
    pub(crate) fn written_keys(&self) -> &[WrittenKey] {
        &self.keys[..self.fields.len()]
    }

    /// Index of the field named `key`. Looks from `hint` on and around: producers write keys in
    /// a fixed order, so the field behind the last one found is nearly always the next.
    #[inline]
    pub(crate) fn find(&self, key: &str, hint: usize) -> Option<usize> {
        let n = self.fields.len();
        let hint = hint.min(n);
        (hint..n).chain(0..hint).find(|&i| self.fields[i].name == key)
    }
}

impl fmt::Debug for TypeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypeInfo").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for TypeInfo {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TypeInfo {}
