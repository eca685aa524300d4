//! The CRC-64-AVRO fingerprint of a schema, the one that stands in every frame.
//!
//! Of apache-avro's own fingerprint only the parsing canonical form is used, and that is put
//! right first: it leaves `{"type":"long"}` where a logical type was taken off, while the
//! specification (and Java's, Python's and Arrow's library) has the plain `"long"` there.

use apache_avro::Schema;

/// Fingerprint of the empty text; also the polynomial.
const EMPTY: u64 = 0xc15d_213a_a4d7_a795;

/// The parsing canonical form as the specification has it.
#[must_use]
pub fn canonical_form(schema: &Schema) -> String {
    const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];
    let form = schema.canonical_form();
    PRIMITIVES.iter().fold(form, |form, name| form.replace(&format!(r#"{{"type":"{name}"}}"#), &format!("\"{name}\"")))
}

/// The fingerprint; a frame holds its bytes in little-endian order.
#[must_use]
pub fn fingerprint(schema: &Schema) -> u64 {
    of_text(&canonical_form(schema))
}

/// The CRC-64-AVRO of any text.
#[must_use]
pub fn of_text(text: &str) -> u64 {
    // Bit by bit: it is done once a schema, so it needs no table.
    text.bytes().fold(EMPTY, |crc, byte| {
        let low = (0..8).fold((crc ^ u64::from(byte)) & 0xff, |low, _| (low >> 1) ^ (EMPTY & (low & 1).wrapping_neg()));
        (crc >> 8) ^ low
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::registry::writers;
    use apache_avro::rabin::Rabin;
    use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm};

    #[test]
    fn without_logical_types_it_is_the_avro_librarys() {
        for writer in writers() {
            let plain = writer.json.replace(r#", "logicalType": "timestamp-micros""#, "");
            let plain = plain.replace(r#"{"type": "long"}"#, r#""long""#);
            let schema = Schema::parse_str(&plain).unwrap();
            assert_eq!(
                fingerprint(&schema).to_le_bytes(),
                *schema.fingerprint::<Rabin>().bytes,
                "{}",
                writer.kind.name
            );
            assert_eq!(fingerprint(&schema), writer.fingerprint, "a logical type is no part of it");
        }
    }

    #[test]
    fn it_is_the_one_of_arrow_avro_and_of_python() {
        for writer in writers() {
            let theirs = AvroSchema::new(writer.json.to_owned()).fingerprint(FingerprintAlgorithm::Rabin).unwrap();
            assert_eq!(theirs, Fingerprint::Rabin(writer.fingerprint), "{}", writer.kind.name);
        }
        // From Python's fastavro, `fingerprint(to_parsing_canonical_form(..), "CRC-64-AVRO")`: hex of
        // the bytes as they stand in the frame.
        let fastavro = [
            ("impression", "c79b8aeb19a214d4"),
            ("visit", "93dc4e1bb05a8272"),
            ("click", "d2726cd6a1862c22"),
            ("conversion", "bb97291cf50e0554"),
        ];
        for (name, hex) in fastavro {
            let v1 = writers().iter().find(|w| w.kind.name == name && w.version == 1).unwrap();
            assert_eq!(format!("{:016x}", v1.fingerprint.swap_bytes()), hex, "{name}");
        }
    }
}
