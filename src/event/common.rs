//! The payload fields that every type has.

use super::kind::{Field, FieldKind};

/// Most bytes of a text field that has no bound of its own.
pub const TEXT_MAX: usize = 256;
/// Most bytes of `user_agent`.
pub const USER_AGENT_MAX: usize = 1024;

/// Index of `campaign_id` in [`FIELDS`].
pub const CAMPAIGN_ID: usize = 0;
/// Index of `tag` in [`FIELDS`].
pub const TAG: usize = 1;
/// Index of `ip` in [`FIELDS`].
pub const IP: usize = 6;
/// Index of `user_agent` in [`FIELDS`].
pub const USER_AGENT: usize = 8;

/// The common fields, in the order of the schemas.
pub const FIELDS: [Field; 12] = [
    Field { name: "campaign_id", kind: FieldKind::Campaign },
    Field::text("tag", TEXT_MAX),
    Field::text("variation_id", TEXT_MAX),
    Field::text("site_id", TEXT_MAX),
    Field::text("zone_id", TEXT_MAX),
    Field::text("user_id", TEXT_MAX),
    Field { name: "ip", kind: FieldKind::Ip },
    Field { name: "country", kind: FieldKind::Country },
    Field::text("user_agent", USER_AGENT_MAX),
    Field::text("device", TEXT_MAX),
    Field::text("os", TEXT_MAX),
    Field::micros("price_micros"),
];

/// The common fields followed by a type's own. `ALL` is their number together; a wrong one does
/// not compile.
#[must_use]
pub const fn and<const OWN: usize, const ALL: usize>(own: [Field; OWN]) -> [Field; ALL] {
    assert!(ALL == FIELDS.len() + OWN, "the array has room for the common fields and the type's own");
    let mut all = [FIELDS[0]; ALL];
    let mut i = 0;
    while i < ALL {
        all[i] = if i < FIELDS.len() { FIELDS[i] } else { own[i - FIELDS.len()] };
        i += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_indices_point_at_their_fields() {
        let named = [(CAMPAIGN_ID, "campaign_id"), (TAG, "tag"), (IP, "ip"), (USER_AGENT, "user_agent")];
        for (index, name) in named {
            assert_eq!(FIELDS[index].name, name);
        }
    }
}
