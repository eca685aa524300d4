//! The rules of single values: what a JSON scalar must be to become the value of a field.

use super::kind::{Field, FieldKind};
use super::payload::Value;
use super::rejection::{Code, Rejection, in_payload};
use crate::event::MICROS_MAX;
use std::borrow::Cow;
use std::net::IpAddr;

/// A JSON value as far as fields care: the nested ones have no content here.
#[derive(Debug)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool,
    Int(i64),
    /// A number beyond 64 bits.
    Huge,
    /// A number with a fraction or an exponent.
    Fraction,
    Text(Cow<'a, str>),
    /// An array or an object.
    Nested,
}

/// Checks a payload field. Null and empty text are the same as absent.
#[inline]
pub(crate) fn field<'a>(field: &Field, scalar: Scalar<'a>) -> Result<Value<'a>, Rejection> {
    let fail = |code, rule: &str| Err(Rejection::of(code, in_payload(field.name), rule));
    match field.kind {
        FieldKind::Campaign => integer(scalar, 1, i64::from(u32::MAX)).or_else(|(code, rule)| fail(code, &rule)),
        FieldKind::Micros => integer(scalar, 0, MICROS_MAX).or_else(|(code, rule)| fail(code, &rule)),
        FieldKind::Text(max) => match text(scalar, max) {
            Ok(Some(text)) => Ok(Value::Text(text)),
            Ok(None) => Ok(Value::Absent),
            Err((code, rule)) => fail(code, &rule),
        },
        FieldKind::Ip => match text(scalar, usize::MAX) {
            Ok(Some(text)) if is_ip(&text) => Ok(Value::Text(text)),
            Ok(Some(_)) => fail(Code::InvalidValue, "must be an IPv4 or IPv6 address"),
            Ok(None) => Ok(Value::Absent),
            Err((code, rule)) => fail(code, &rule),
        },
        FieldKind::Country => match text(scalar, usize::MAX) {
            Ok(Some(text)) => match *text.as_bytes() {
                [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                    Ok(Value::Country([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
                }
                _ => fail(Code::InvalidValue, "must be two letters, an ISO 3166-1 alpha-2 code"),
            },
            Ok(None) => Ok(Value::Absent),
            Err((code, rule)) => fail(code, &rule),
        },
    }
}

/// Text of at most `max` bytes; null and empty text are `None`.
#[inline]
pub(crate) fn text(scalar: Scalar<'_>, max: usize) -> Result<Option<Cow<'_, str>>, (Code, Cow<'static, str>)> {
    match scalar {
        Scalar::Null => Ok(None),
        Scalar::Text(text) if text.is_empty() => Ok(None),
        Scalar::Text(text) if text.len() <= max => Ok(Some(text)),
        Scalar::Text(_) => Err((Code::TooLong, format!("may have at most {max} bytes").into())),
        _ => Err((Code::InvalidType, "must be a string".into())),
    }
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

fn integer(scalar: Scalar<'_>, min: i64, max: i64) -> Result<Value<'_>, (Code, Cow<'static, str>)> {
    match scalar {
        Scalar::Null => Ok(Value::Absent),
        Scalar::Int(n) if (min..=max).contains(&n) => Ok(Value::Int(n)),
        Scalar::Int(_) | Scalar::Huge => Err((Code::OutOfRange, format!("must be from {min} to {max}").into())),
        Scalar::Fraction => {
            Err((Code::InvalidType, "must be an integer, written without fraction and exponent".into()))
        }
        _ => Err((Code::InvalidType, "must be an integer".into())),
    }
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
