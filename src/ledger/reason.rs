//! Why a campaign does not serve. A campaign is stopped while its set of reasons is not empty.

use std::fmt;

/// One reason; the order is the order of weight, the first of a set is shown as *the* reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A person stopped it. Only this one is taken away by a resume.
    Operator,
    /// A sum would not have fit 64 bits of nanos; what came after is counted as unattributed.
    Overflow,
    /// Spent has reached the campaign's total budget.
    TotalBudget,
    /// The advertiser's campaigns together have spent its balance.
    Balance,
    /// Spent of the current day has reached the daily budget; goes at the campaign's midnight.
    DailyBudget,
    /// A reason that a newer publisher knows and this reader does not.
    Other,
}

impl Reason {
    /// Every reason a ledger can give, by weight.
    pub const ALL: [Reason; 5] =
        [Reason::Operator, Reason::Overflow, Reason::TotalBudget, Reason::Balance, Reason::DailyBudget];

    /// The stable name, e.g. `total_budget`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Operator => "operator",
            Reason::Overflow => "overflow",
            Reason::TotalBudget => "total_budget",
            Reason::Balance => "balance",
            Reason::DailyBudget => "daily_budget",
            Reason::Other => "other",
        }
    }

    /// The reason of that name; [`Reason::Other`] for a name from a newer version.
    #[must_use]
    pub fn from_name(name: &str) -> Reason {
        Reason::ALL.into_iter().find(|r| r.name() == name).unwrap_or(Reason::Other)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
