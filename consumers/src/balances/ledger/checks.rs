//! What every ledger refuses before it opens a transaction.

use penstock::ledger::{
    AdjustmentKind, Catalogue, Change, LedgerError, MAX_AMOUNT_MICROS, NewAdjustment, Reason, validate,
};

/// Who is named as the author of what the ledger does by itself.
pub(super) const SELF: &str = "penstock";

const MAX_WHO_BYTES: usize = 200;
const MAX_WHY_BYTES: usize = 2_000;
const MAX_KEY_BYTES: usize = 200;

/// What stands beside a reason that the ledger gave by itself.
pub(super) const fn reached_note(reason: Reason) -> &'static str {
    match reason {
        Reason::TotalBudget => "spent has reached the total budget",
        Reason::DailyBudget => "the day's spending has reached the daily budget",
        Reason::Balance => "the advertiser's campaigns have spent its balance",
        Reason::Overflow => "another event would not fit the account",
        Reason::Operator | Reason::Other => "",
    }
}

/// Whether a change says who, and within its bounds.
pub(super) fn change(change: &Change) -> Result<(), LedgerError> {
    if change.who.is_empty() || change.who.len() > MAX_WHO_BYTES {
        return Err(LedgerError::Refused(format!("who makes a change takes 1 to {MAX_WHO_BYTES} bytes")));
    }
    if change.why.len() > MAX_WHY_BYTES {
        return Err(LedgerError::Refused(format!("the reason of a change takes at most {MAX_WHY_BYTES} bytes")));
    }
    if change.who == SELF {
        return Err(LedgerError::Refused(format!("`{SELF}` is the name of what the ledger does by itself")));
    }
    Ok(())
}

/// Whether a budget or a balance lies within its bounds.
pub(super) fn amount(key: &str, micros: Option<i64>) -> Result<(), LedgerError> {
    match micros {
        Some(n) if !(0..=MAX_AMOUNT_MICROS).contains(&n) => {
            Err(LedgerError::Refused(format!("{key} = {n}: an amount lies between 0 and {MAX_AMOUNT_MICROS} micros")))
        }
        _ => Ok(()),
    }
}

/// Whether an adjustment keeps the rules of its kind.
pub(super) fn adjustment(new: &NewAdjustment) -> Result<(), LedgerError> {
    if new.key.is_empty() || new.key.len() > MAX_KEY_BYTES {
        return Err(LedgerError::Refused(format!("the key of an adjustment takes 1 to {MAX_KEY_BYTES} bytes")));
    }
    if new.amount_nanos == 0 {
        return Err(LedgerError::Refused("an adjustment of 0 changes nothing".into()));
    }
    if new.kind != AdjustmentKind::Correction && new.amount_nanos > 0 {
        return Err(LedgerError::Refused(format!("a {} gives money back: its amount is below 0", new.kind.name())));
    }
    Ok(())
}

/// An import relies on the rules, so it asks for them although the importer's parser has.
pub(super) fn catalogue(catalogue: &Catalogue) -> Result<(), LedgerError> {
    match validate(catalogue).first() {
        Some(problem) => Err(LedgerError::Refused(problem.to_string())),
        None => Ok(()),
    }
}
