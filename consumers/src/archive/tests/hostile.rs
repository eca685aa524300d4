//! The reader against files of others, files that are cut and files that want harm.

use super::super::container::{Codec, Container};
use super::super::name::FileName;
use super::super::reader::{ReadAt, ReadError, summarise};
use penstock::log::{LogId, Range};
use proptest::prelude::*;
use std::cell::Cell;
use std::io;

const SCHEMA: &str = r#"{"type":"record","name":"R","fields":[{"name":"n","type":"long"}]}"#;

fn file(records: u64) -> Vec<u8> {
    let log = LogId { name: "spool-1".into(), partition: 0 };
    let name = FileName { kind: "click".to_owned(), hour: 1, log, range: Range { from: 0, to: 9 }, schema: 1 };
    let mut codec = Codec::new(0).unwrap();
    let mut container = Container::new(name, SCHEMA);
    for n in 0..records {
        container.push(n, &[2], &mut codec).unwrap();
    }
    let finished = container.finish(records, &mut codec).unwrap();
    [&finished.header[..], &finished.blocks[..]].concat()
}

#[test]
fn files_that_the_avro_library_wrote_are_counted() {
    let schema = apache_avro::Schema::parse_str(SCHEMA).unwrap();
    let mut writer = apache_avro::Writer::builder().schema(&schema).writer(Vec::new()).block_size(64).build().unwrap();
    for n in 0..1000i64 {
        let mut record = apache_avro::types::Record::new(&schema).unwrap();
        record.put("n", n);
        writer.append_value(record).unwrap();
    }
    let summary = summarise(&writer.into_inner().unwrap()[..]).unwrap();
    assert_eq!(summary.records, 1000);
    assert!(summary.blocks > 1 && summary.header.get("avro.schema").is_some());
}

#[test]
fn a_file_cut_at_any_byte_is_not_whole() {
    let whole = file(5);
    assert_eq!(summarise(&whole[..]).unwrap().records, 5);
    for end in 0..whole.len() {
        assert!(summarise(&whole[..end]).is_err(), "cut at {end} of {}", whole.len());
    }
}

#[test]
fn a_header_that_says_another_number_is_found_out() {
    let (five, six) = (file(5), file(6));
    let at = five.windows(1).zip(six.windows(1)).position(|(a, b)| a != b).unwrap();
    let mut lies = five;
    lies[at] = six[at];
    assert!(matches!(summarise(&lies[..]), Err(ReadError::Records { said: 6, found: 5 })));
}

/// Counts how much is read.
struct Counting<'a>(&'a [u8], Cell<u64>, u64);

impl ReadAt for Counting<'_> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.2)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        self.1.set(self.1.get() + out.len() as u64);
        self.0.read_at(offset, out)
    }
}

proptest! {
    #[test]
    fn garbage_is_an_error_that_costs_little(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300), magic: bool, claimed in any::<u32>(),
    ) {
        if magic && bytes.len() >= 4 {
            bytes[..4].copy_from_slice(b"Obj\x01");
        }
        let read = Counting(&bytes, Cell::new(0), u64::from(claimed));
        let summary = summarise(&read);
        prop_assert!(summary.is_err() || summary.is_ok_and(|s| s.blocks == 0));
        prop_assert!(read.1.get() <= 3 << 20);
    }

    #[test]
    fn a_flipped_bit_never_panics_and_never_adds_blocks(at: prop::sample::Index, bit in 0..8u8) {
        let mut bytes = file(5);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(summary) = summarise(&bytes[..]) {
            prop_assert_eq!((summary.blocks, summary.records), (1, 5));
        }
    }
}
