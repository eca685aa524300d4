//! The rules of single values: what a JSON scalar must be to become the value of a field.

use super::kind::{Field, FieldKind};
use super::payload::Value;
use super::rejection::{Code, Rejection, in_payload};
use super::text::Text;
use crate::event::MICROS_MAX;
use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Numbers that a campaign may have: 32 bits, without 0.
const CAMPAIGNS: RangeInclusive<i64> = 1..=u32::MAX as i64;
/// Amounts in micros.
const AMOUNTS: RangeInclusive<i64> = 0..=MICROS_MAX;
const A_STRING: &str = "must be a string";

/// A JSON value as far as fields care: the nested ones have no content here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool,
    Int(i64),
    /// A number beyond 64 bits.
    Huge,
    /// A number with a fraction or an exponent.
    Fraction,
    Text(Text<'a>),
    /// An array or an object.
    Nested,
}

/// The value of a payload field. Null and empty text are the same as absent. Errors: the rule that it breaks.
#[inline(always)]
pub(crate) fn field<'a>(field: &Field, scalar: Scalar<'a>) -> Result<Value<'a>, Rejection> {
    value(field.kind, scalar).ok_or_else(|| refusal(field, scalar))
}

/// The value, when it keeps the rule of its kind.
#[inline(always)]
fn value<'a>(kind: FieldKind, scalar: Scalar<'a>) -> Option<Value<'a>> {
    match (kind, scalar) {
        (_, Scalar::Null) => Some(Value::Absent),
        (FieldKind::Campaign, Scalar::Int(n)) if CAMPAIGNS.contains(&n) => Some(Value::Int(n)),
        (FieldKind::Micros, Scalar::Int(n)) if AMOUNTS.contains(&n) => Some(Value::Int(n)),
        (FieldKind::Campaign | FieldKind::Micros, _) => None,
        (_, Scalar::Text(text)) if text.len() == 0 => Some(Value::Absent),
        (FieldKind::Text(max), Scalar::Text(text)) if text.len() <= max => Some(Value::Text(text)),
        (FieldKind::Ip, Scalar::Text(text)) if is_ip(text.as_str()) => Some(Value::Text(text)),
        (FieldKind::Country, Scalar::Text(text)) => match *text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Value::Country([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        },
        _ => None,
    }
}

/// Why [`value`] has none.
#[cold]
fn refusal(field: &Field, scalar: Scalar<'_>) -> Rejection {
    let of = |code, rule: &str| Rejection::of(code, in_payload(field.name), rule);
    match (field.kind, scalar) {
        (FieldKind::Campaign, Scalar::Int(_) | Scalar::Huge) => of(Code::OutOfRange, &between(&CAMPAIGNS)),
        (FieldKind::Micros, Scalar::Int(_) | Scalar::Huge) => of(Code::OutOfRange, &between(&AMOUNTS)),
        (FieldKind::Campaign | FieldKind::Micros, Scalar::Fraction) => {
            of(Code::InvalidType, "must be an integer, written without fraction and exponent")
        }
        (FieldKind::Campaign | FieldKind::Micros, _) => of(Code::InvalidType, "must be an integer"),
        (FieldKind::Text(max), Scalar::Text(_)) => of(Code::TooLong, &at_most(max)),
        (FieldKind::Ip, Scalar::Text(_)) => of(Code::InvalidValue, "must be an IPv4 or IPv6 address"),
        (FieldKind::Country, Scalar::Text(_)) => {
            of(Code::InvalidValue, "must be two letters, an ISO 3166-1 alpha-2 code")
        }
        (FieldKind::Text(_) | FieldKind::Ip | FieldKind::Country, _) => of(Code::InvalidType, A_STRING),
    }
}

/// Text of at most `max` bytes; null and empty text are `None`. Errors: code and rule.
#[inline]
pub(crate) fn text(scalar: Scalar<'_>, max: usize) -> Result<Option<Text<'_>>, (Code, Cow<'static, str>)> {
    match scalar {
        Scalar::Null => Ok(None),
        Scalar::Text(text) if text.len() == 0 => Ok(None),
        Scalar::Text(text) if text.len() <= max => Ok(Some(text)),
        Scalar::Text(_) => Err((Code::TooLong, at_most(max).into())),
        _ => Err((Code::InvalidType, A_STRING.into())),
    }
}

fn at_most(max: usize) -> String {
    format!("may have at most {max} bytes")
}

fn between(range: &RangeInclusive<i64>) -> String {
    format!("must be from {} to {}", range.start(), range.end())
}

/// Whether this is the text form of an IPv4 or IPv6 address (without zone or port).
pub(crate) fn is_ip(text: &str) -> bool {
    is_ipv4(text.as_bytes()) || text.parse::<IpAddr>().is_ok()
}

/// Whether these are four numbers up to 255 without zeros in front, as nearly every address is. The standard
/// library's parser showed in profiles of the hot path.
fn is_ipv4(text: &[u8]) -> bool {
    let (mut dots, mut digits, mut number) = (0, 0, 0_u32);
    for byte in text {
        match byte {
            b'0'..=b'9' if digits == 0 || number > 0 => {
                number = 10 * number + u32::from(byte - b'0');
                digits += 1;
                if number > 255 {
                    return false;
                }
            }
            b'.' if digits > 0 && dots < 3 => (dots, digits, number) = (dots + 1, 0, 0),
            _ => return false,
        }
    }
    dots == 3 && digits > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    proptest! {
        /// The oracle is the standard library.
        #[test]
        fn an_ipv4_address_is_what_the_standard_library_takes(text in "[0-9]{0,4}(\\.[0-9]{0,4}){2,4}[x ]?", address: Ipv4Addr) {
            prop_assert_eq!(is_ipv4(text.as_bytes()), text.parse::<Ipv4Addr>().is_ok(), "{}", text);
            prop_assert!(is_ipv4(address.to_string().as_bytes()));
        }
    }
}
