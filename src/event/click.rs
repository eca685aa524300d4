//! Click: a user clicked on an ad.

use super::common;
use super::kind::{Field, TypeInfo};
use crate::pricing::PricedAs;

static FIELDS: [Field; 13] = common::and([Field::text("impression_id", common::TEXT_MAX)]);

/// The type `click`; charged with the campaign's `cpc_micros`, once per id.
pub static TYPE: TypeInfo =
    TypeInfo::new("click", "ads.click", PricedAs::Click, include_str!("../../schemas/avro/click.avsc"), &FIELDS);
