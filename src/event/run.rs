//! Where a string ends: the one loop that sees each byte of each text.

/// Bytes that are looked at together.
const LOOK: usize = 16;

/// How many bytes from the front on stand for themselves inside a JSON string: up to a quote, a
/// backslash, a control character or the end.
#[inline]
#[must_use]
pub fn plain_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(look) = bytes.get(at..).and_then(<[u8]>::first_chunk::<LOOK>) {
        // Most texts are shorter than one look, so that their length is no branch to be guessed wrong.
        match first_mark(look) {
            LOOK => at += LOOK,
            first => return at + first,
        }
    }
    let tail = bytes.get(at..).unwrap_or_default();
    at + tail.iter().position(|b| matches!(b, b'"' | b'\\' | ..0x20)).unwrap_or(tail.len())
}

/// The place of the first byte that does not stand for itself; the number of bytes when all do.
#[cfg(target_arch = "x86_64")]
#[inline]
fn first_mark(bytes: &[u8; LOOK]) -> usize {
    #[expect(unsafe_code, reason = "instructions on all bytes at once, which the compiler does not find by itself")]
    // SAFETY: every x86-64 processor has SSE2.
    unsafe {
        first_mark_sse2(bytes)
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn first_mark_sse2(bytes: &[u8; LOOK]) -> usize {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };
    let all = u128::from_le_bytes(*bytes);
    let all = _mm_set_epi64x((all >> 64) as i64, all as i64);
    // The smaller one of a byte and 0x1f is that byte for control characters alone.
    let control = _mm_cmpeq_epi8(_mm_min_epu8(all, _mm_set1_epi8(0x1f)), all);
    let quote = _mm_cmpeq_epi8(all, _mm_set1_epi8(b'"'.cast_signed()));
    let backslash = _mm_cmpeq_epi8(all, _mm_set1_epi8(b'\\'.cast_signed()));
    let marks = _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quote, backslash)));
    (marks | 1 << LOOK).trailing_zeros() as usize
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn first_mark(bytes: &[u8; LOOK]) -> usize {
    bytes.iter().position(|b| matches!(b, b'"' | b'\\' | ..0x20)).unwrap_or(LOOK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn a_string_ends_where_a_look_at_each_byte_ends_it(bytes in proptest::collection::vec(prop_oneof![
            3 => 0x20_u8.., 1 => Just(b'"'), 1 => Just(b'\\'), 1 => 0_u8..0x20, 1 => Just(b'!'), 1 => Just(0x80_u8),
        ], 0..40)) {
            let one_by_one = bytes.iter().take_while(|b| **b >= 0x20 && **b != b'"' && **b != b'\\').count();
            prop_assert_eq!(plain_run(&bytes), one_by_one);
        }
    }
}
