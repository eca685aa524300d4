//! Conversion: a user did what the advertiser wanted.

use super::common;
use super::kind::{Field, TypeInfo};
use crate::pricing::PricedAs;

static FIELDS: [Field; 15] = common::and([
    Field::text("click_id", common::TEXT_MAX),
    Field::text("goal", common::TEXT_MAX),
    Field::micros("value_micros"),
]);

/// The type `conversion`; charged with the campaign's `cpa_micros`, once per id.
pub static TYPE: TypeInfo = TypeInfo::new(
    "conversion",
    "ads.conversion",
    PricedAs::Conversion,
    include_str!("../../schemas/avro/conversion.avsc"),
    &FIELDS,
);
