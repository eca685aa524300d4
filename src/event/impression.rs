//! Impression: an ad was shown to a user.

use super::common;
use super::kind::{Field, TypeInfo};
use crate::pricing::PricedAs;

static FIELDS: [Field; 12] = common::FIELDS;

/// The type `impression`; charged with the campaign's `cpm_micros`.
pub static TYPE: TypeInfo = TypeInfo::new(
    "impression",
    "ads.impression",
    PricedAs::Impression,
    include_str!("../../schemas/avro/impression.avsc"),
    &FIELDS,
);
