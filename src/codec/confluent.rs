//! The Confluent wire format, and the way between it and single-object encoding.
//!
//! The spool holds single-object encoding always (10 bytes: `C3 01` and the schema's fingerprint);
//! Kafka holds the Confluent format when a schema registry is configured (5 bytes: `00` and the
//! schema's id in that registry, big endian). The datum behind the header is the same, and the
//! first byte tells the two apart, so a topic may hold both.

use super::registry::{HEADER_LEN, MAGIC};

/// First byte of every Confluent frame.
pub const MAGIC_BYTE: u8 = 0;
/// Bytes in front of the datum: the magic byte and the schema's id.
pub const CONFLUENT_HEADER_LEN: usize = 5;

/// The header of records whose schema has this id.
#[must_use]
pub const fn header(id: u32) -> [u8; CONFLUENT_HEADER_LEN] {
    let [a, b, c, d] = id.to_be_bytes();
    [MAGIC_BYTE, a, b, c, d]
}

/// Id and datum of a Confluent frame; `None` when it does not begin with that header.
#[must_use]
pub fn split(body: &[u8]) -> Option<(u32, &[u8])> {
    let ([MAGIC_BYTE, id @ ..], datum) = body.split_first_chunk::<CONFLUENT_HEADER_LEN>()? else { return None };
    Some((u32::from_be_bytes(*id), datum))
}

/// Fingerprint and datum of a single-object frame; `None` when it does not begin with that header.
/// The fingerprint may be nobody's.
#[must_use]
pub fn split_single(body: &[u8]) -> Option<(u64, &[u8])> {
    let ([m0, m1, fingerprint @ ..], datum) = body.split_first_chunk::<HEADER_LEN>()?;
    ([*m0, *m1] == MAGIC).then(|| (u64::from_le_bytes(*fingerprint), datum))
}

/// The single-object header of records whose schema has this fingerprint.
#[must_use]
pub fn single_header(fingerprint: u64) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..2].copy_from_slice(&MAGIC);
    header[2..].copy_from_slice(&fingerprint.to_le_bytes());
    header
}

/// Turns a single-object frame into a Confluent one where it lies: the longer header's last bytes
/// are overwritten, and the frame begins 5 bytes later. `None`, and nothing changed, when `frame`
/// does not begin with a single-object header.
pub fn reframe(frame: &mut [u8], id: u32) -> Option<&mut [u8]> {
    split_single(frame)?;
    let frame = &mut frame[HEADER_LEN - CONFLUENT_HEADER_LEN..];
    frame[..CONFLUENT_HEADER_LEN].copy_from_slice(&header(id));
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::registry::writers;
    use proptest::prelude::*;

    #[test]
    fn the_header_is_the_one_of_the_specification() {
        // docs.confluent.io, "Wire format": magic byte 0, then the id in network byte order.
        assert_eq!(header(0x0102_0304), [0, 1, 2, 3, 4]);
        assert_eq!(split(&[0, 0, 0, 1, 0, 7, 8]), Some((256, &[7, 8][..])));
        assert_eq!(split(&[0, 0, 0, 1]), None);
        assert_eq!(split(&[1, 0, 0, 0, 1, 7]), None);
    }

    #[test]
    fn the_single_object_header_is_the_writers() {
        for writer in writers() {
            assert_eq!(single_header(writer.fingerprint), writer.header);
        }
    }

    proptest! {
        #[test]
        fn a_frame_goes_to_confluent_and_back_unchanged(fingerprint: u64, id: u32, datum: Vec<u8>) {
            let single = [&single_header(fingerprint)[..], &datum].concat();
            let mut frame = single.clone();
            let confluent = reframe(&mut frame, id).unwrap();
            let (read, same) = split(confluent).unwrap();
            prop_assert_eq!((read, same), (id, &datum[..]));
            prop_assert_eq!(split_single(&single), Some((fingerprint, &datum[..])));
            prop_assert_eq!([&single_header(fingerprint)[..], same].concat(), single);
        }

        #[test]
        fn no_bytes_are_both_and_what_is_no_frame_stays_as_it_is(body: Vec<u8>) {
            prop_assert!(split(&body).is_none() || split_single(&body).is_none());
            let mut frame = body.clone();
            if split_single(&body).is_none() {
                prop_assert!(reframe(&mut frame, 1).is_none());
                prop_assert_eq!(frame, body);
            }
        }
    }
}
