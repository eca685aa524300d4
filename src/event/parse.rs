//! From JSON to an envelope with its payload: serde_json's parser, visitors written by hand.
//!
//! By hand because derived ones buffer what they flatten, do not see duplicate keys and cannot
//! name the field at fault. Text is borrowed from the event; what has escapes is copied to the
//! event's arena. When `payload` comes before `type` its text is kept and parsed once the type is known.

use super::check::Scalar;
use super::envelope::Envelope;
use super::kind::TypeInfo;
use super::payload::Payload;
use super::rejection::{Code, Rejection, in_payload, shown};
use bumpalo::Bump;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What went wrong, kept beside the parser: its own error type carries text only.
#[derive(Default)]
struct Fault {
    rejection: Option<Rejection>,
    /// The key whose value was being read when the parser failed.
    at: Option<Cow<'static, str>>,
}

impl Fault {
    /// Keeps the rejection and gives the parser an error to stop with.
    fn stop<E: serde::de::Error>(&mut self, rejection: Rejection) -> E {
        self.rejection = Some(rejection);
        E::custom("rejected")
    }

    /// Notes which key the parser failed at, unless an inner one is known.
    fn mark<E>(&mut self, error: E, key: impl FnOnce() -> Cow<'static, str>) -> E {
        self.at.get_or_insert_with(key);
        error
    }

    /// The rejection for an error of the parser, which read `part` of the event `whole`.
    fn explain(self, error: &serde_json::Error, whole: &str, part: &str) -> Rejection {
        if let Some(rejection) = self.rejection {
            return rejection;
        }
        let text = placed(error, whole, part);
        match error.classify() {
            // Only objects are asked of the parser; every other value is looked at by a rule.
            Category::Data => match self.at {
                Some(field) => Rejection::of(Code::InvalidType, field, "must be a JSON object"),
                None => Rejection::whole(Code::InvalidType, "an event must be a JSON object"),
            },
            // The parser gives up on numbers that not even a double holds, such as 1e999.
            _ if text.starts_with("number out of range") => {
                let field = self.at.unwrap_or(Cow::Borrowed("payload"));
                Rejection::of(Code::OutOfRange, field, &format!("is a {text}"))
            }
            _ => Rejection::whole(Code::InvalidJson, format!("not valid JSON: {text}")),
        }
    }
}

/// Where an event is read from, and where text goes that stands otherwise in it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// The event.
    pub(super) whole: &'a str,
    /// Text without its escapes.
    pub(super) arena: &'a Bump,
}

/// Parses one whole event. Errors: any [`Rejection`] but those that depend on the clock.
pub(super) fn event<'a>(source: Source<'a>, envelope: &mut Envelope<'a>) -> Result<(), Rejection> {
    let (mut fault, text) = (Fault::default(), source.whole);
    let visitor = EnvelopeVisitor { source, envelope, fault: &mut fault };
    object(text, visitor).map_err(|e| fault.explain(&e, text, text))?;
    if let (Some(kind), Some(raw)) = (envelope.kind, envelope.late_payload.take()) {
        payload(kind, source, raw.get(), &mut envelope.payload)?;
    }
    Ok(())
}

/// Parses a payload: `part` of the event, or all of it.
pub(super) fn payload<'a>(
    kind: &TypeInfo,
    source: Source<'a>,
    part: &'a str,
    payload: &mut Payload<'a>,
) -> Result<(), Rejection> {
    let mut fault = Fault::default();
    object(part, PayloadVisitor { source, kind, payload, fault: &mut fault }).map_err(|e| {
        fault.at.get_or_insert(Cow::Borrowed("payload"));
        fault.explain(&e, source.whole, part)
    })
}

/// The parser's message with line and column counted in `whole`, of which it read `part`.
fn placed(error: &serde_json::Error, whole: &str, part: &str) -> String {
    let before = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    let before = &whole.as_bytes()[..before.min(whole.len())];
    let line = error.line() + memchr::memchr_iter(b'\n', before).count();
    let column = match error.line() {
        ..=1 => error.column() + before.len() - memchr::memrchr(b'\n', before).map_or(0, |at| at + 1),
        _ => error.column(),
    };
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("{what} at line {line} column {column}")
}

fn object<'a, V: Visitor<'a, Value = ()>>(text: &'a str, visitor: V) -> Result<(), serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_str(text);
    parser.deserialize_map(visitor)?;
    parser.end()
}

struct EnvelopeVisitor<'v, 'a> {
    source: Source<'a>,
    envelope: &'v mut Envelope<'a>,
    fault: &'v mut Fault,
}

impl<'a> Visitor<'a> for EnvelopeVisitor<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let EnvelopeVisitor { source, envelope, fault } = self;
        while let Some(key) = map.next_key_seed(KeySeed(source.arena))? {
            let key = match envelope.key(key) {
                Ok(key) => key,
                Err(rejection) => return Err(fault.stop(rejection)),
            };
            if key == "payload" {
                match envelope.kind {
                    Some(kind) => {
                        let seed = PayloadSeed(PayloadVisitor { source, kind, payload: &mut envelope.payload, fault });
                        let result = map.next_value_seed(seed);
                        envelope.has_payload = result.map_err(|e| fault.mark(e, || Cow::Borrowed("payload")))?;
                    }
                    None => {
                        let raw = map.next_value::<&'a RawValue>()?;
                        envelope.has_payload = raw.get() != "null";
                        envelope.late_payload = envelope.has_payload.then_some(raw);
                    }
                }
                continue;
            }
            let scalar =
                map.next_value_seed(ScalarSeed(source.arena)).map_err(|e| fault.mark(e, || Cow::Borrowed(key)))?;
            envelope.set(key, scalar).map_err(|rejection| fault.stop(rejection))?;
        }
        Ok(())
    }
}

struct PayloadVisitor<'v, 'a> {
    source: Source<'a>,
    kind: &'v TypeInfo,
    payload: &'v mut Payload<'a>,
    fault: &'v mut Fault,
}

impl<'a> Visitor<'a> for PayloadVisitor<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a payload object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let PayloadVisitor { source, kind, payload, fault } = self;
        let mut hint = 0;
        while let Some(key) = map.next_key_seed(KeySeed(source.arena))? {
            let taken = match kind.find(key, hint) {
                Some(index) => {
                    hint = index + 1;
                    let scalar =
                        map.next_value_seed(ScalarSeed(source.arena)).map_err(|e| fault.mark(e, || in_payload(key)))?;
                    payload.set(kind, index, scalar)
                }
                None => {
                    let raw = map.next_value::<&'a RawValue>()?;
                    scalar_text(source, raw.get(), key).and_then(|value| payload.add_unknown(key, value))
                }
            };
            taken.map_err(|rejection| fault.stop(rejection))?;
        }
        Ok(())
    }
}

/// The value of a key that the schema does not know, as text: numbers keep their JSON form.
fn scalar_text<'a>(source: Source<'a>, json: &'a str, key: &str) -> Result<Option<&'a str>, Rejection> {
    match json.as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') if !json.contains('\\') => Ok(Some(&json[1..json.len() - 1])),
        Some(b'"') => match serde_json::from_str::<String>(json) {
            Ok(text) => Ok(Some(source.arena.alloc_str(&text))),
            // The parser checks the pairs of \u escapes only when it reads the text.
            Err(e) => {
                Err(Rejection::whole(Code::InvalidJson, format!("not valid JSON: {}", placed(&e, source.whole, json))))
            }
        },
        Some(b'[' | b'{') | None => {
            let rule = "is not in the schema, so it must be a string, a number, a boolean or null";
            Err(Rejection::of(Code::InvalidType, in_payload(key), rule))
        }
        Some(_) => Ok(Some(json)),
    }
}

/// An object, or null for "absent": whether it was there.
struct PayloadSeed<'v, 'a>(PayloadVisitor<'v, 'a>);

impl<'a> DeserializeSeed<'a> for PayloadSeed<'_, 'a> {
    type Value = bool;

    fn deserialize<D: Deserializer<'a>>(self, parser: D) -> Result<bool, D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for PayloadSeed<'_, 'a> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<bool, A::Error> {
        self.0.visit_map(map).map(|()| true)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// A key, borrowed unless it has escapes.
struct KeySeed<'a>(&'a Bump);

impl<'a> DeserializeSeed<'a> for KeySeed<'a> {
    type Value = &'a str;

    fn deserialize<D: Deserializer<'a>>(self, parser: D) -> Result<&'a str, D::Error> {
        parser.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for KeySeed<'a> {
    type Value = &'a str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<&'a str, E> {
        Ok(text)
    }

    fn visit_str<E>(self, text: &str) -> Result<&'a str, E> {
        Ok(self.0.alloc_str(text))
    }
}

/// Any value; what is nested is skipped, which the parser does without recursion.
struct ScalarSeed<'a>(&'a Bump);

impl<'a> DeserializeSeed<'a> for ScalarSeed<'a> {
    type Value = Scalar<'a>;

    fn deserialize<D: Deserializer<'a>>(self, parser: D) -> Result<Scalar<'a>, D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for ScalarSeed<'a> {
    type Value = Scalar<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar<'a>, E> {
        let text: &'a str = self.0.alloc_str(text);
        Ok(Scalar::Text(text.into()))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Int(n))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Scalar<'a>, E> {
        Ok(i64::try_from(n).map_or(Scalar::Huge, Scalar::Int))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Scalar<'a>, E> {
        // Integers beyond 64 bits come as doubles; no double of this size has a fraction.
        Ok(if n.abs() >= 9.2e18 { Scalar::Huge } else { Scalar::Fraction })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Bool)
    }

    fn visit_unit<E>(self) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Null)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Scalar<'a>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Scalar<'a>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }
}

/// The rejection of an envelope key that nobody knows.
pub(super) fn unknown_key(key: &str) -> Rejection {
    let rule = "is not a key of an event; keys of your own go into `payload`";
    Rejection::of(Code::UnknownField, Cow::<'static, str>::Owned(shown(key).to_owned()), rule)
}
