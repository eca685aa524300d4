//! Scalars with a JSON form of their own.

use penstock::money::Nanos;
use penstock::time::Micros;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// `n` parts of which `per` make one, for a person to look at: 35 tenths are 3.5. Money never
/// comes this way.
#[must_use]
#[expect(clippy::float_arithmetic, reason = "figures to look at, not to count with")]
pub fn fraction(n: u64, per: u64) -> f64 {
    n as f64 / per as f64
}

/// A moment; in JSON RFC 3339 in UTC with as many digits of the second as it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub Micros);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_utc() {
            Some(t) => write!(f, "{}", t.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let time = chrono::DateTime::<chrono::Utc>::deserialize(d)?;
        Ok(Time(Micros(time.timestamp_micros())))
    }
}

/// An amount in integer micros (10⁻⁶ of the account's currency): a string in answers, a string
/// or an integer in requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub i64);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer number of micros, as a string or a number")
            }
            fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Amount, E> {
                Ok(Amount(v))
            }
            fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Amount, E> {
                i64::try_from(v).map(Amount).map_err(E::custom)
            }
            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Amount, E> {
                v.parse().map(Amount).map_err(|_| E::invalid_value(serde::de::Unexpected::Str(v), &self))
            }
        }
        d.deserialize_any(Visitor)
    }
}

/// A sum of nanos over many rows: 128 bits, so that adding up cannot overflow; in JSON a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sum(pub i128);

impl Sum {
    /// Adds; the 128 bits hold the sum of more rows than a log has offsets, so it saturates only in theory.
    #[must_use]
    pub const fn plus(self, other: Sum) -> Sum {
        Sum(self.0.saturating_add(other.0))
    }
}

impl From<Nanos> for Sum {
    fn from(nanos: Nanos) -> Sum {
        Sum(i128::from(nanos.0))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Sum {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map(Sum).map_err(serde::de::Error::custom)
    }
}

/// A text in the document of the API, with an example.
fn text(about: &str, example: &str, format: Option<SchemaFormat>) -> RefOr<Schema> {
    let object = ObjectBuilder::new().schema_type(Type::String).description(Some(about));
    RefOr::T(Schema::Object(object.format(format).examples([example]).build()))
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        text("RFC 3339 in UTC", "2017-11-06T16:00:00Z", Some(format))
    }
}

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        text(
            "10^-6 of the account's currency: a string in answers, a string or an integer in requests",
            "3504000",
            None,
        )
    }
}

impl PartialSchema for Sum {
    fn schema() -> RefOr<Schema> {
        text("10^-9 of the account's currency, up to 128 bits", "90137000000", None)
    }
}

impl ToSchema for Time {}
impl ToSchema for Amount {}
impl ToSchema for Sum {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_and_come_back_as_they_went() {
        let time = Time(Micros(1_510_012_800_000_001));
        let text = serde_json::to_string(&time).unwrap();
        assert_eq!(text, "\"2017-11-07T00:00:00.000001Z\"");
        assert_eq!(serde_json::from_str::<Time>(&text).unwrap(), time);
        assert_eq!(Time(Micros(1_510_012_800_000_000)).to_string(), "2017-11-07T00:00:00Z");
    }

    #[test]
    fn amounts_come_as_string_or_integer_and_leave_as_strings() {
        for text in ["\"3504000\"", "3504000"] {
            assert_eq!(serde_json::from_str::<Amount>(text).unwrap(), Amount(3_504_000));
        }
        for text in ["1.5", "\"1.5\"", "18446744073709551615", "true", "\"\"", "[]"] {
            assert!(serde_json::from_str::<Amount>(text).is_err(), "{text}");
        }
        assert_eq!(serde_json::to_string(&Amount(i64::MIN)).unwrap(), "\"-9223372036854775808\"");
    }

    #[test]
    fn a_sum_holds_more_than_64_bits() {
        let text = serde_json::to_string(&Sum(i128::from(i64::MAX) * 3)).unwrap();
        assert_eq!(serde_json::from_str::<Sum>(&text).unwrap(), Sum(i128::from(i64::MAX) * 3));
    }
}
