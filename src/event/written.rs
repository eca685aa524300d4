//! Keys as nearly all producers write them, `"name":`, known at one look.
//!
//! Looking for the end of a key, and then for the field of its name, was a twentieth of what an event in a body of
//! a hundred costs. What is written otherwise (with a space, an escape, or a long name) is read as any other string.

/// Bytes of one look.
const LOOK: usize = 16;

/// A key with its quotes and its colon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WrittenKey {
    text: u128,
    /// The bits of `text` that count.
    mask: u128,
    len: usize,
}

impl WrittenKey {
    /// One that is never found.
    pub(crate) const NONE: WrittenKey = WrittenKey { text: 1, mask: 0, len: 0 };

    /// The key of this name, [`NONE`](Self::NONE) when it is longer than one look.
    pub(crate) const fn of(name: &str) -> WrittenKey {
        let (name, len) = (name.as_bytes(), name.len() + 3);
        if len > LOOK {
            return WrittenKey::NONE;
        }
        let (mut text, mut mask, mut at) = ([0; LOOK], [0; LOOK], 0);
        while at < len {
            text[at] = match at {
                0 => b'"',
                _ if at == len - 2 => b'"',
                _ if at == len - 1 => b':',
                _ => name[at - 1],
            };
            mask[at] = u8::MAX;
            at += 1;
        }
        WrittenKey { text: u128::from_le_bytes(text), mask: u128::from_le_bytes(mask), len }
    }
}

/// The place of the key that `text` begins with, and the bytes that it takes. Looks from `hint` on and around, as
/// producers write keys in a fixed order. `None`: it is none of them, or written otherwise.
#[inline]
pub(crate) fn find(keys: &[WrittenKey], text: &[u8], hint: usize) -> Option<(usize, usize)> {
    let text = u128::from_le_bytes(*text.first_chunk::<LOOK>()?);
    let (before, behind) = keys.split_at_checked(hint).unwrap_or((keys, &[]));
    let is_there = |key: &WrittenKey| text & key.mask == key.text;
    let found = behind.iter().position(is_there).map(|at| before.len() + at);
    let found = found.or_else(|| before.iter().position(is_there))?;
    Some((found, keys[found].len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_is_found_where_it_is_written_and_no_other(
            names in proptest::collection::btree_set("[a-c_]{1,15}", 1..8), pick: prop::sample::Index, hint in 0usize..10,
            written in "(\"[a-c_]{0,15}\"[: ]|.{0,20})", behind in "[0-9a-c\":]{0,20}",
        ) {
            let names: Vec<String> = names.into_iter().collect();
            let keys: Vec<WrittenKey> = names.iter().map(|name| WrittenKey::of(name)).collect();
            let pick = pick.index(names.len());
            let fits = names[pick].len() + 3 <= LOOK;
            let text = format!("\"{}\":{behind}{:16}", names[pick], "");
            prop_assert_eq!(find(&keys, text.as_bytes(), hint), fits.then_some((pick, names[pick].len() + 3)));
            let text = format!("{written}{behind}");
            if let Some((at, len)) = find(&keys, text.as_bytes(), hint) {
                prop_assert_eq!(&text[..len], &format!("\"{}\":", names[at]));
            }
        }
    }
}
