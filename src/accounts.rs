//! Who may come in: people, their sessions and tokens of programs. The trait and its types; SQL
//! lives in the consumers, beside the ledger's.
//!
//! The one thing to know: **no secret is kept.** A password is an Argon2 hash, a session and a
//! token are SHA-256 hashes of 256 random bits; what the browser or the program holds cannot be
//! read back from the database. Every change writes its row of the audit in the same transaction.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What somebody may do. Each may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Stop and resume campaigns, set budgets, reconcile, replay dead letters.
    Operator,
    /// Change the catalogue, users, tokens and who may come in.
    Admin,
}

impl Role {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not the name of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is viewer, operator or admin")]
pub struct NoRole;

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(name: &str) -> Result<Role, NoRole> {
        [Role::Viewer, Role::Operator, Role::Admin].into_iter().find(|r| r.name() == name).ok_or(NoRole)
    }
}
