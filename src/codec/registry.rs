//! Which schemas records may be written with, and how each is read.
//!
//! A schema is turned once into a list of steps, one a field. Event schemas are flat: an id
//! (`fixed` of 16), `long`, `string`, each of them possibly in a union with null, and a map of
//! strings. Columns are the fields of all types together: one place each, whoever wrote the
//! record, so a field that a version or a type lacks is simply absent.

use super::fingerprint::fingerprint;
use crate::event::{FieldKind, TYPES, TypeInfo};
use apache_avro::Schema;
use apache_avro::schema::{FixedSchema, UnionSchema};
use std::sync::LazyLock;

/// First bytes of every frame (Avro single-object encoding, version 1).
pub(crate) const MAGIC: [u8; 2] = [0xC3, 0x01];
/// Bytes in front of the datum: magic and fingerprint.
pub const HEADER_LEN: usize = 10;
/// Most columns that all types may have together.
pub(crate) const MAX_COLUMNS: usize = 64;

/// A schema that records are or were written with.
#[derive(Debug)]
pub struct WriterSchema {
    /// The type of its records.
    pub kind: &'static TypeInfo,
    /// Version of the type's schema, from 1.
    pub version: usize,
    /// The schema's JSON, as an archive file's header needs it.
    pub json: &'static str,
    /// CRC-64-AVRO of its parsing canonical form.
    pub fingerprint: u64,
    pub(crate) header: [u8; HEADER_LEN],
    pub(crate) steps: Vec<Step>,
}

impl WriterSchema {
    /// Name of the field that a step reads, for messages.
    pub(crate) fn field_name(&self, step: usize) -> &'static str {
        match self.steps.get(step) {
            Some(Step { column: Some(column), .. }) => columns()[*column].name,
            Some(_) => "a field of an earlier version",
            None => "behind the last one",
        }
    }
}

/// How one field of a record is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) shape: Shape,
    /// For a union with null: the branch that is null (0 or 1).
    pub(crate) null_branch: Option<i64>,
    /// Its place in [`columns`]; `None` for a field that only an earlier version knew.
    pub(crate) column: Option<usize>,
}

/// What Avro type a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Id,
    Long,
    Text,
    Map,
}

/// One column over all types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The field's name.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// The event's UUID.
    Id,
    /// Microseconds since the epoch.
    Time,
    /// Text.
    Text,
    /// A campaign's number.
    Campaign,
    /// An amount in micros.
    Micros,
    /// Text by text.
    Extra,
}

impl ColumnKind {
    fn shape(self) -> Shape {
        match self {
            ColumnKind::Id => Shape::Id,
            ColumnKind::Time | ColumnKind::Campaign | ColumnKind::Micros => Shape::Long,
            ColumnKind::Text => Shape::Text,
            ColumnKind::Extra => Shape::Map,
        }
    }
}

/// Why a schema cannot be used for events.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Not an Avro schema.
    #[error("the schema of {kind} is not Avro: {source}")]
    Avro {
        /// The type.
        kind: &'static str,
        /// From the Avro library.
        #[source]
        source: Box<apache_avro::Error>,
    },
    /// A field that events cannot have.
    #[error("the schema of {kind}: field `{field}` is not of a kind that events have")]
    Field {
        /// The type.
        kind: &'static str,
        /// The field.
        field: String,
    },
    /// The record does not begin with id and time.
    #[error("the schema of {0} must be a record that begins with id, time, received, server")]
    Envelope(&'static str),
    /// Two types give one field different kinds, or there are too many fields.
    #[error("field `{0}` has another kind in another type, or there are too many columns")]
    Column(&'static str),
}

struct Registry {
    columns: Vec<Column>,
    writers: Vec<WriterSchema>,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    Registry::build(TYPES).expect("the schemas are part of the binary, and a test builds the registry from them")
});

/// All columns: the envelope, the fields of all types, `extra`.
#[must_use]
pub fn columns() -> &'static [Column] {
    &REGISTRY.columns
}

/// Every known schema, by type and version.
#[must_use]
pub fn writers() -> &'static [WriterSchema] {
    &REGISTRY.writers
}

/// The schema with this fingerprint. There are few, so they are looked through.
#[must_use]
pub fn by_fingerprint(fingerprint: u64) -> Option<&'static WriterSchema> {
    REGISTRY.writers.iter().find(|w| w.fingerprint == fingerprint)
}

/// The newest schema of a type; [`TypeInfo::writer`] keeps it.
pub(crate) fn current(kind: &'static TypeInfo) -> &'static WriterSchema {
    REGISTRY.writers.iter().rfind(|w| w.kind == kind).expect("the registry is built from TYPES, which has every type")
}

impl Registry {
    fn build(types: &[&'static TypeInfo]) -> Result<Registry, RegistryError> {
        let columns = unite(types)?;
        let mut writers = Vec::new();
        for kind in types {
            let versions = kind.earlier.iter().chain([&kind.schema_json]);
            for (i, json) in versions.enumerate() {
                writers.push(writer(kind, i + 1, json, &columns)?);
            }
        }
        Ok(Registry { columns, writers })
    }
}

fn unite(types: &[&'static TypeInfo]) -> Result<Vec<Column>, RegistryError> {
    let envelope = [("id", ColumnKind::Id), ("time", ColumnKind::Time), ("received", ColumnKind::Time)];
    let mut columns: Vec<Column> = envelope.map(|(name, kind)| Column { name, kind }).to_vec();
    columns.push(Column { name: "server", kind: ColumnKind::Text });
    for field in types.iter().flat_map(|t| t.fields) {
        let kind = match field.kind {
            FieldKind::Campaign => ColumnKind::Campaign,
            FieldKind::Micros => ColumnKind::Micros,
            FieldKind::Text(_) | FieldKind::Ip | FieldKind::Country => ColumnKind::Text,
        };
        match columns.iter().find(|c| c.name == field.name) {
            None => columns.push(Column { name: field.name, kind }),
            Some(column) if column.kind != kind => return Err(RegistryError::Column(field.name)),
            Some(_) => {}
        }
    }
    columns.push(Column { name: "extra", kind: ColumnKind::Extra });
    if columns.len() > MAX_COLUMNS { Err(RegistryError::Column("extra")) } else { Ok(columns) }
}

fn writer(
    kind: &'static TypeInfo,
    version: usize,
    json: &'static str,
    columns: &[Column],
) -> Result<WriterSchema, RegistryError> {
    let schema = Schema::parse_str(json).map_err(|e| RegistryError::Avro { kind: kind.name, source: Box::new(e) })?;
    let Schema::Record(record) = &schema else { return Err(RegistryError::Envelope(kind.name)) };
    let bad = |field: &str| RegistryError::Field { kind: kind.name, field: field.to_owned() };
    let mut steps = Vec::with_capacity(record.fields.len());
    for field in &record.fields {
        let (shape, null_branch) = shape(&field.schema).ok_or_else(|| bad(&field.name))?;
        let column = columns.iter().position(|c| c.name == field.name);
        if column.is_some_and(|c| columns[c].kind.shape() != shape) {
            return Err(bad(&field.name));
        }
        steps.push(Step { shape, null_branch, column });
    }
    let envelope = [Some(0), Some(1), Some(2), Some(3)];
    if !steps.iter().take(4).map(|s| s.column.filter(|_| s.null_branch.is_none())).eq(envelope) {
        return Err(RegistryError::Envelope(kind.name));
    }
    let fingerprint = fingerprint(&schema);
    let mut header = [0; HEADER_LEN];
    header[..2].copy_from_slice(&MAGIC);
    header[2..].copy_from_slice(&fingerprint.to_le_bytes());
    Ok(WriterSchema { kind, version, json, fingerprint, header, steps })
}

fn shape(schema: &Schema) -> Option<(Shape, Option<i64>)> {
    match schema {
        Schema::Union(union) => optional(union),
        Schema::Fixed(FixedSchema { size: 16, .. }) => Some((Shape::Id, None)),
        Schema::Long | Schema::TimestampMicros => Some((Shape::Long, None)),
        Schema::String => Some((Shape::Text, None)),
        Schema::Map(map) if *map.types == Schema::String => Some((Shape::Map, None)),
        _ => None,
    }
}

fn optional(union: &UnionSchema) -> Option<(Shape, Option<i64>)> {
    match union.variants() {
        [Schema::Null, value] => Some((shape(value).filter(|s| s.1.is_none())?.0, Some(0))),
        [value, Schema::Null] => Some((shape(value).filter(|s| s.1.is_none())?.0, Some(1))),
        _ => None,
    }
}
