//! A type that exists in tests only. It shows what a new type takes (this file, its schema, one
//! line in `TYPES`), and with an earlier version of its schema how types change over time.

use super::common;
use super::kind::{Field, TypeInfo};
use crate::pricing::PricedAs;

static FIELDS: [Field; 14] = common::and([Field::text("page_url", 512), Field::micros("basket_micros")]);

/// The type `page_view`.
pub static TYPE: TypeInfo =
    TypeInfo::new("page_view", "ads.page_view", PricedAs::Free, include_str!("page_view.avsc"), &FIELDS)
        .with_earlier(&[include_str!("page_view.v1.avsc")]);
