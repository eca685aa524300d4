//! A position as Kafka keeps it: the offset is the group's offset, the pin stands in the commit's
//! metadata.
//!
//! Both are one record of the brokers' offsets topic, so they change together. The text is
//! `1 pin=PINNED hint=HINT` with a pin and `1` without; an empty text is a position that an
//! operator set with Kafka's own tools.

use crate::log::{Offset, Position};

/// The metadata of a commit.
pub(super) fn metadata(position: Position) -> String {
    match position.pinned {
        Some(pin) => format!("1 pin={pin} hint={}", position.hint),
        None => "1".to_owned(),
    }
}

/// A committed offset with its metadata as a position; `Err` says what is wrong with it.
pub(super) fn parse(next: Offset, metadata: &str) -> Result<Position, String> {
    let bad =
        || format!("the commit's metadata {:?} is not one of ours", metadata.chars().take(80).collect::<String>());
    let mut words = metadata.split(' ');
    match words.next() {
        Some("") if metadata.is_empty() => return Ok(Position::at(next)),
        Some("1") => {}
        _ => return Err(bad()),
    }
    let Some(pin) = words.next() else { return Ok(Position::at(next)) };
    let pinned = pin.strip_prefix("pin=").and_then(|n| n.parse().ok()).filter(|pin| *pin > next);
    let hint = words.next().and_then(|w| w.strip_prefix("hint=")).and_then(|n| n.parse().ok());
    match (pinned, hint, words.next()) {
        (Some(pinned), Some(hint), None) => Ok(Position { next, pinned: Some(pinned), hint }),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_position_comes_back_as_it_was_stored(next in 0..u64::MAX, more in proptest::option::of(1..1000u64), hint: u32) {
            let pinned = more.map(|m| next.saturating_add(m));
            let position = Position { next, pinned, hint: if pinned.is_some() { hint } else { 0 } };
            prop_assert_eq!(parse(next, &metadata(position)), Ok(position));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = parse(5, &text);
        }
    }

    #[test]
    fn what_an_operator_set_is_taken_and_what_others_wrote_is_not() {
        assert_eq!(parse(7, ""), Ok(Position::at(7)));
        for text in ["2", "1 pin=7 hint=0", "1 pin=9", "1 pin=9 hint=x", "1 pin=9 hint=1 more", "NO_METADATA", " "] {
            assert!(parse(7, text).is_err(), "{text:?}");
        }
    }
}
