//! The schemas themselves: documented, compatible with every earlier version, known by their
//! fingerprints, and in step with the declarations in `event/`.

use crate::codec::fingerprint::fingerprint;
use crate::codec::registry::{by_fingerprint, columns, writers};
use crate::event::{FieldKind, TYPES};
use apache_avro::Schema;
use apache_avro::schema::RecordSchema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use std::path::PathBuf;

fn record(schema: &Schema) -> &RecordSchema {
    let Schema::Record(record) = schema else { panic!("not a record") };
    record
}

#[test]
fn every_field_of_every_schema_is_documented() {
    for writer in writers() {
        let schema = Schema::parse_str(writer.json).unwrap();
        assert!(record(&schema).doc.is_some(), "{}", writer.kind.name);
        for field in &record(&schema).fields {
            let doc = field.doc.as_deref().unwrap_or_default();
            assert!(doc.ends_with('.'), "{}.{} has no sentence for its doc", writer.kind.name, field.name);
        }
    }
}

#[test]
fn the_declared_fields_are_the_schemas_in_its_order() {
    for kind in TYPES {
        let schema = Schema::parse_str(kind.schema_json).unwrap();
        let fields = &record(&schema).fields;
        let names: Vec<&str> = fields.iter().map(|f| f.name.as_str()).collect();
        let declared = kind.fields.iter().map(|f| f.name);
        let expected: Vec<&str> =
            ["id", "time", "received", "server"].into_iter().chain(declared).chain(["extra"]).collect();
        assert_eq!(names, expected, "{}", kind.name);
        for (field, declared) in fields[4..].iter().zip(kind.fields) {
            let value = match declared.kind {
                FieldKind::Campaign | FieldKind::Micros => Schema::Long,
                FieldKind::Text(_) | FieldKind::Ip | FieldKind::Country => Schema::String,
            };
            let Schema::Union(union) = &field.schema else { panic!("{} is not optional", field.name) };
            assert_eq!(union.variants(), [Schema::Null, value], "{}", field.name);
            assert_eq!(field.default, Some(serde_json::Value::Null), "{}", field.name);
        }
    }
}

#[test]
fn every_schema_is_fully_compatible_with_its_earlier_versions_both_ways() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas/avro/history");
    let mut held = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(kind) = TYPES.iter().find(|t| name.split('.').next() == Some(t.name)) else { continue };
        let earlier = Schema::parse_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let current = Schema::parse_str(kind.schema_json).unwrap();
        let both_ways = SchemaCompatibility::mutual_read(&earlier, &current);
        assert!(matches!(both_ways, Ok(Compatibility::Full)), "{name}: {both_ways:?}");
        let known = by_fingerprint(fingerprint(&earlier));
        assert_eq!(known.map(|w| w.kind.name), Some(kind.name), "{name} is kept, but not registered");
        held += 1;
    }
    assert!(held >= 4, "every type keeps at least its first version");
}

#[test]
fn every_registered_version_but_the_test_types_is_kept_in_history() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas/avro/history");
    for writer in writers().iter().filter(|w| w.kind.name != "page_view") {
        let path = folder.join(format!("{}.v{}.avsc", writer.kind.name, writer.version));
        let kept = Schema::parse_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            fingerprint(&kept),
            writer.fingerprint,
            "{path:?}: a published version never changes; make a new one"
        );
    }
}

#[test]
fn the_test_types_versions_are_compatible_both_ways_and_an_incompatible_one_is_noticed() {
    let kind = &crate::event::page_view::TYPE;
    let current = Schema::parse_str(kind.schema_json).unwrap();
    let earlier = Schema::parse_str(kind.earlier[0]).unwrap();
    assert!(matches!(SchemaCompatibility::mutual_read(&earlier, &current), Ok(Compatibility::Full)));
    let broken = kind.schema_json.replace(
        "\"basket_micros\", \"type\": [\"null\", \"long\"], \"default\": null",
        "\"basket_micros\", \"type\": \"long\"",
    );
    assert_ne!(broken, kind.schema_json);
    let broken = Schema::parse_str(&broken).unwrap();
    assert!(!matches!(SchemaCompatibility::mutual_read(&earlier, &broken), Ok(Compatibility::Full)));
}

#[test]
fn no_two_schemas_share_a_fingerprint_and_no_two_columns_a_name() {
    let fingerprints: std::collections::HashSet<_> = writers().iter().map(|w| w.fingerprint).collect();
    assert_eq!(fingerprints.len(), writers().len());
    let names: std::collections::HashSet<_> = columns().iter().map(|c| c.name).collect();
    assert_eq!(names.len(), columns().len());
}
