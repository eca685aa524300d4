//! Visit: a user came to a page of a site.

use super::common;
use super::kind::{Field, TypeInfo};
use crate::pricing::PricedAs;

static FIELDS: [Field; 12] = common::FIELDS;

/// The type `visit`; free unless the event carries a price.
pub static TYPE: TypeInfo =
    TypeInfo::new("visit", "ads.visit", PricedAs::Free, include_str!("../../schemas/avro/visit.avsc"), &FIELDS);
