//! The checksum of a record, CRC-32C of its length and its body.
//!
//! The crate `crc32c` goes byte by byte to an address that eight divides before it takes eight at a time, and
//! looks at the processor in each call. That is right for long inputs; a record has a hundred bytes, lies
//! anywhere, and is looked at twice on its way to Kafka: 25 ns a look there, 10 ns here. Processors without
//! the instruction take the crate, which is also what the test compares with.

/// The checksum of a record.
#[inline]
pub(super) fn record(len: [u8; 4], body: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") {
        #[expect(unsafe_code, reason = "an instruction that not every processor has")]
        // SAFETY: this one has it.
        return unsafe { by_instruction(len, body) };
    }
    by_crate(len, body)
}

fn by_crate(len: [u8; 4], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&len), body)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
fn by_instruction(len: [u8; 4], body: &[u8]) -> u32 {
    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u32, _mm_crc32_u64};
    let (eights, rest) = body.as_chunks();
    let (fours, rest) = rest.as_chunks();
    let mut sum = u64::from(_mm_crc32_u32(u32::MAX, u32::from_le_bytes(len)));
    for eight in eights {
        sum = _mm_crc32_u64(sum, u64::from_le_bytes(*eight));
    }
    // The instruction leaves the upper half zero.
    let mut sum = sum as u32;
    for four in fours {
        sum = _mm_crc32_u32(sum, u32::from_le_bytes(*four));
    }
    for byte in rest {
        sum = _mm_crc32_u8(sum, *byte);
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_what_the_crate_says(body in proptest::collection::vec(any::<u8>(), 0..600), from in 0_usize..16) {
            let body = body.get(from..).unwrap_or_default();
            let len = (body.len() as u32).to_le_bytes();
            prop_assert_eq!(record(len, body), by_crate(len, body));
        }
    }
}
