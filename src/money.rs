//! Amounts of money: integers only.
//!
//! Amounts enter as integer micros (10⁻⁶ of the account's currency) and are kept as [`Nanos`]
//! (10⁻⁹), so that a price per thousand times a count is exact: the cost of n impressions at
//! `cpm_micros` is `cpm_micros` × n nanos. Every operation is checked; an overflow is an error
//! that stops the campaign with its reason, it never wraps.

use std::fmt;

/// An amount in 10⁻⁹ of a currency unit. In JSON a string, because 64-bit integers do not
/// survive a JavaScript number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub i64);

/// A sum did not fit 64 bits (more than 9.2 thousand million currency units).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the amount does not fit 64 bits of nanos")]
pub struct Overflow;

#[expect(
    clippy::should_implement_trait,
    reason = "the operators cannot return an error, and every operation is checked"
)]
impl Nanos {
    /// Nothing.
    pub const ZERO: Nanos = Nanos(0);

    /// From integer micros (10⁻⁶). Errors: [`Overflow`].
    pub fn from_micros(micros: i64) -> Result<Nanos, Overflow> {
        micros.checked_mul(1_000).map(Nanos).ok_or(Overflow)
    }

    /// The sum. Errors: [`Overflow`].
    pub fn add(self, other: Nanos) -> Result<Nanos, Overflow> {
        self.0.checked_add(other.0).map(Nanos).ok_or(Overflow)
    }

    /// The difference. Errors: [`Overflow`].
    pub fn sub(self, other: Nanos) -> Result<Nanos, Overflow> {
        self.0.checked_sub(other.0).map(Nanos).ok_or(Overflow)
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let n = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:09}", n / 1_000_000_000, n % 1_000_000_000)
    }
}

impl serde::Serialize for Nanos {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Nanos {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map(Nanos).map_err(serde::de::Error::custom)
    }
}

/// `#[serde(with = "money::text")]`: a 64-bit amount (micros, say) as a string in JSON.
pub mod text {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the integer as a string. Errors: the serializer's.
    pub fn serialize<S: Serializer>(amount: &i64, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(amount)
    }

    /// Reads the integer from a string. Errors: not an integer of 64 bits.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<i64, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// `#[serde(with = "money::text_option")]`: as [`text`], `null` when absent.
pub mod text_option {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the integer as a string, or `null`. Errors: the serializer's.
    pub fn serialize<S: Serializer>(amount: &Option<i64>, s: S) -> Result<S::Ok, S::Error> {
        match amount {
            Some(amount) => s.collect_str(amount),
            None => s.serialize_none(),
        }
    }

    /// Reads the integer from a string or `null`. Errors: not an integer of 64 bits.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
        let text = Option::<std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.map(|t| t.parse().map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_is_an_error_never_a_wrap() {
        assert_eq!(Nanos(i64::MAX).add(Nanos(1)), Err(Overflow));
        assert_eq!(Nanos::from_micros(i64::MAX / 1_000 + 1), Err(Overflow));
    }

    #[test]
    fn amounts_are_strings_in_json_and_print_with_nine_decimals() {
        assert_eq!(serde_json::to_string(&Nanos(-1_500_000_000)).ok().as_deref(), Some("\"-1500000000\""));
        assert_eq!(Nanos(-1_500_000_000).to_string(), "-1.500000000");
    }
}
