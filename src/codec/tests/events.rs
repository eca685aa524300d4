//! Made-up events: as JSON for us, and as the Avro value that the library writes.

use crate::event::{self, Defaults, FieldKind, IdSource, TYPES, TypeInfo};
use crate::log::Records;
use crate::time::Micros;
use apache_avro::types::Value as Avro;
use proptest::collection::{hash_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

pub const RECEIVED: Micros = Micros(1_509_984_000_000_000);
pub const SERVER: &str = "ad-eu-1";

/// What one field holds.
#[derive(Clone, Debug)]
pub enum Content {
    Int(i64),
    Text(String),
}

/// An event and how its JSON is written.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: &'static TypeInfo,
    pub id: [u8; 16],
    pub time: Micros,
    pub server: Option<String>,
    pub fields: Vec<Option<Content>>,
    /// Text by key, as the library gets it: the order of this very map is the order of the JSON.
    pub extra: HashMap<String, Avro>,
    /// Keys whose text is JSON already (numbers, booleans).
    pub bare: HashSet<String>,
    pub payload_first: bool,
    pub time_as_text: bool,
}

fn text(max: usize) -> impl Strategy<Value = String> {
    let any = any::<String>().prop_filter("not empty, not too long", move |s| !s.is_empty() && s.len() <= max);
    prop_oneof![3 => "[ -~]{1,60}", 1 => any, 1 => Just("x".repeat(max))]
}

fn content(kind: FieldKind) -> BoxedStrategy<Content> {
    match kind {
        FieldKind::Campaign => prop_oneof![1..=i64::from(u32::MAX), 1..2000_i64].prop_map(Content::Int).boxed(),
        FieldKind::Micros => prop_oneof![0..=event::MICROS_MAX, 0..5000_i64].prop_map(Content::Int).boxed(),
        FieldKind::Text(max) => text(max).prop_map(Content::Text).boxed(),
        FieldKind::Ip => any::<IpAddr>().prop_map(|ip| Content::Text(ip.to_string())).boxed(),
        FieldKind::Country => "[A-Z]{2}".prop_map(Content::Text).boxed(),
    }
}

/// Text and whether it stands bare in the JSON, by key.
fn extra() -> impl Strategy<Value = HashMap<String, (String, bool)>> {
    let scalar = prop_oneof![
        text(256).prop_map(|s| (s, false)),
        any::<i128>().prop_map(|n| (n.to_string(), true)),
        any::<f64>().prop_filter("JSON has no NaN", |f| f.is_finite()).prop_map(|f| (format!("{f:e}"), true)),
        any::<bool>().prop_map(|b| (b.to_string(), true)),
    ];
    hash_map("x_[a-zé\"\\\\]{0,12}", scalar, 0..8)
}

pub fn of_type(kind: &'static TypeInfo) -> impl Strategy<Value = Event> {
    let fields: Vec<_> = kind.fields.iter().map(|f| of(content(f.kind))).collect();
    let time = (0..=RECEIVED.0).prop_map(Micros);
    let id = any::<[u8; 16]>().prop_filter("not nil", |id| *id != [0; 16]);
    (id, time, of(text(256)), fields, extra(), any::<bool>(), any::<bool>()).prop_map(
        move |(id, time, server, mut fields, extra, payload_first, time_as_text)| {
            if fields[0].is_none() && fields[1].is_none() {
                fields[0] = Some(Content::Int(1002));
            }
            let time = if time_as_text { time } else { Micros(time.0 / 1000 * 1000) };
            let bare = extra.iter().filter(|(_, (_, bare))| *bare).map(|(key, _)| key.clone()).collect();
            let extra = extra.into_iter().map(|(key, (text, _))| (key, Avro::String(text))).collect();
            Event { kind, id, time, server, fields, extra, bare, payload_first, time_as_text }
        },
    )
}

pub fn any_event() -> impl Strategy<Value = Event> {
    (0..TYPES.len()).prop_flat_map(|i| of_type(TYPES[i]))
}

pub fn any_events() -> impl Strategy<Value = Vec<Event>> {
    vec(any_event(), 0..12)
}

impl Event {
    /// The event as an ad server writes it.
    pub fn json(&self) -> String {
        let quoted = |s: &str| serde_json::to_string(s).unwrap();
        let mut payload: Vec<String> = Vec::new();
        for (field, content) in self.kind.fields.iter().zip(&self.fields) {
            match content {
                Some(Content::Int(n)) => payload.push(format!("\"{}\":{n}", field.name)),
                Some(Content::Text(s)) => payload.push(format!("\"{}\": {}", field.name, quoted(s))),
                None => {}
            }
        }
        for (key, value) in &self.extra {
            let Avro::String(text) = value else { continue };
            let json = if self.bare.contains(key) { text.clone() } else { quoted(text) };
            payload.push(format!("{}:{json}", quoted(key)));
        }
        let payload = format!("\"payload\":{{{}}}", payload.join(","));
        let time = if self.time_as_text { format!("\"{}\"", self.time) } else { (self.time.0 / 1000).to_string() };
        let id = uuid::Uuid::from_bytes(self.id);
        let mut rest = format!("\"type\":\"{}\",\"id\":\"{id}\",\"time\":{time}", self.kind.name);
        if let Some(server) = &self.server {
            rest += &format!(",\"server\":{}", quoted(server));
        }
        if self.payload_first { format!("{{{payload},{rest}}}") } else { format!("{{{rest} , {payload}}}") }
    }

    /// The frame we make of it.
    pub fn frame(&self) -> Vec<u8> {
        let max_future = Duration::from_secs(3600);
        let d = Defaults { received: RECEIVED, server: SERVER, max_future, max_event_bytes: 1 << 20 };
        let mut out = Vec::new();
        let kind = event::admit(self.json().as_bytes(), &d, &mut IdSource::seeded(1), &mut out).unwrap();
        assert_eq!(kind, self.kind);
        out
    }

    /// The datum as the Avro library sees it, field by field of the schema. Takes the event: a
    /// copy of the map could have another order.
    pub fn into_avro(self) -> Avro {
        let mut fields = vec![
            ("id".to_owned(), Avro::Fixed(16, self.id.to_vec())),
            ("time".to_owned(), Avro::TimestampMicros(self.time.0)),
            ("received".to_owned(), Avro::TimestampMicros(RECEIVED.0)),
            ("server".to_owned(), Avro::String(self.server.unwrap_or_else(|| SERVER.to_owned()))),
        ];
        for (field, content) in self.kind.fields.iter().zip(&self.fields) {
            let value = match content {
                None => Avro::Union(0, Box::new(Avro::Null)),
                Some(Content::Int(n)) => Avro::Union(1, Box::new(Avro::Long(*n))),
                Some(Content::Text(s)) => Avro::Union(1, Box::new(Avro::String(s.clone()))),
            };
            fields.push((field.name.to_owned(), value));
        }
        fields.push(("extra".to_owned(), Avro::Map(self.extra)));
        Avro::Record(fields)
    }
}

/// A batch of frames.
pub fn records(frames: &[Vec<u8>]) -> Records {
    let mut records = Records::new();
    for (offset, frame) in frames.iter().enumerate() {
        records.push(offset as u64, RECEIVED, frame);
    }
    records
}
