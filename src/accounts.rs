//! Who may come in: people, their sessions and tokens of programs. The trait and its types; SQL
//! lives in the consumers, beside the ledger's.
//!
//! The one thing to know: **no secret is kept.** A password is an Argon2 hash, a session and a
//! token are SHA-256 hashes of 256 random bits; what the browser or the program holds cannot be
//! read back from the database. Every change writes its row of the audit in the same transaction.

use crate::ledger::{Change, LedgerError};
use crate::time::Micros;
use async_trait::async_trait;
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

/// Most people there may be.
pub const MAX_USERS: u32 = 10_000;
/// Most tokens there may be.
pub const MAX_TOKENS: u32 = 1_000;
/// Most sessions of one person; the one that was used longest ago makes room.
pub const MAX_SESSIONS: u32 = 50;

/// SHA-256 of a session's or token's secret.
pub type SecretHash = [u8; 32];

/// How a person logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginWay {
    /// With a password that is kept here, hashed.
    Password,
    /// Through the identity provider.
    Oidc,
}

impl LoginWay {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LoginWay::Password => "password",
            LoginWay::Oidc => "oidc",
        }
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The name, see [`check_name`].
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// How they log in.
    pub via: LoginWay,
    /// Whether they are locked out.
    pub disabled: bool,
    /// Whether they must change the password before anything else.
    pub must_change_password: bool,
    /// When they were added.
    pub created: Micros,
    /// When they last logged in.
    pub last_login: Option<Micros>,
}

/// A person to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// The name, see [`check_name`].
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// What is needed to recognise them.
    pub proof: Proof,
    /// Whether they must change the password before anything else.
    pub must_change_password: bool,
}

/// How a person is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By a password: its hash as a PHC string (`$argon2id$…`).
    PasswordHash(String),
    /// By the identity provider: issuer and subject, which no other person ever has.
    Subject(String),
}

/// What changes of a person; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChange {
    /// What they may do from now on, in sessions that are open too.
    pub role: Option<Role>,
    /// A new password's hash, and whether they must change it. Ends their sessions.
    pub password: Option<(String, bool)>,
    /// Locks out (which ends their sessions) or lets in again.
    pub disabled: Option<bool>,
}

/// A session that was found by its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose it is, as they are now.
    pub user: User,
    /// When they logged in.
    pub created: Micros,
    /// When it was last used, to the minute.
    pub last_used: Micros,
}

/// A program's token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What names it, a part of the token itself.
    pub id: String,
    /// What it is for; no two have the same.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Micros,
    /// From when on it is void; `None`: never.
    pub expires: Option<Micros>,
    /// When it was last used, to the minute.
    pub last_used: Option<Micros>,
}

/// A token to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// What names it.
    pub id: String,
    /// What it is for, see [`check_name`].
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Of its secret part.
    pub hash: SecretHash,
    /// From when on it is void.
    pub expires: Option<Micros>,
    /// Takes the place of a token of this name instead of being refused.
    pub replaces: bool,
}

/// What can go wrong with accounts.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The name is taken.
    #[error("there is already a {0}")]
    Exists(String),
    /// There is none of this name.
    #[error("there is no {0}")]
    NotFound(String),
    /// They are locked out.
    #[error("the user {0} is disabled")]
    Disabled(String),
    /// Nobody would be left who can let others in.
    #[error("{0} is the last admin who can log in; make another one first")]
    LastAdmin(String),
    /// A user of the identity provider has no password here.
    #[error("{0} logs in through the identity provider and has no password here")]
    NoPassword(String),
    /// There are as many as there may be.
    #[error("there are {0} already, no more fit")]
    Full(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] LedgerError),
}

/// People, sessions and tokens. Each call is one transaction; each change writes its audit row.
///
/// Errors: [`AccountsError`]; [`LedgerError::Busy`] inside it when the database is away.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Everybody, by name.
    async fn users(&self) -> Result<Vec<User>, AccountsError>;

    /// One person, and the hash of their password when they have one.
    async fn user(&self, name: &str) -> Result<Option<(User, Option<String>)>, AccountsError>;

    /// The person whom the identity provider calls so.
    async fn user_of_subject(&self, subject: &str) -> Result<Option<User>, AccountsError>;

    /// Adds the first person; `false` when there is somebody already.
    async fn add_first_user(&self, user: &NewUser, change: &Change) -> Result<bool, AccountsError>;

    /// Adds a person. Errors: [`AccountsError::Exists`], [`AccountsError::Full`].
    async fn add_user(&self, user: &NewUser, change: &Change) -> Result<User, AccountsError>;

    /// Changes a person; nothing is written when it is so already.
    ///
    /// Errors: [`AccountsError::NotFound`], [`AccountsError::LastAdmin`], [`AccountsError::NoPassword`].
    async fn change_user(&self, name: &str, what: &UserChange, change: &Change) -> Result<User, AccountsError>;

    /// Takes a person away, and their sessions.
    ///
    /// Errors: [`AccountsError::NotFound`], [`AccountsError::LastAdmin`].
    async fn remove_user(&self, name: &str, change: &Change) -> Result<(), AccountsError>;

    /// Opens a session; the audit says `login`. A password's session is opened only while
    /// `password_hash` is still the person's, so one that was changed meanwhile lets nobody in.
    ///
    /// Errors: [`AccountsError::NotFound`] (also when the password is another one by now),
    /// [`AccountsError::Disabled`].
    async fn open_session(
        &self,
        hash: &SecretHash,
        user: &str,
        password_hash: Option<&str>,
        change: &Change,
    ) -> Result<User, AccountsError>;

    /// The session of this secret with its person, disabled or not.
    async fn session(&self, hash: &SecretHash) -> Result<Option<Session>, AccountsError>;

    /// Says that a session was used just now.
    async fn use_session(&self, hash: &SecretHash) -> Result<(), AccountsError>;

    /// Ends a session, when it is there.
    async fn end_session(&self, hash: &SecretHash) -> Result<(), AccountsError>;

    /// Forgets sessions that were opened before `opened`, or last used before `used`.
    async fn forget_sessions(&self, opened: Micros, used: Micros) -> Result<u64, AccountsError>;

    /// All tokens, by name.
    async fn tokens(&self) -> Result<Vec<Token>, AccountsError>;

    /// One token and the hash of its secret, expired or not.
    async fn token(&self, id: &str) -> Result<Option<(Token, SecretHash)>, AccountsError>;

    /// Adds a token. Errors: [`AccountsError::Exists`], [`AccountsError::Full`].
    async fn add_token(&self, token: &NewToken, change: &Change) -> Result<Token, AccountsError>;

    /// Takes a token away. Errors: [`AccountsError::NotFound`].
    async fn remove_token(&self, id: &str, change: &Change) -> Result<(), AccountsError>;

    /// Says that a token was used just now.
    async fn use_token(&self, id: &str) -> Result<(), AccountsError>;

    /// Writes a row of the audit for what changed nothing, such as a failed login.
    async fn note(&self, action: &'static str, subject: &str, change: &Change) -> Result<(), AccountsError>;
}

/// Whether a name may be a user's or a token's: 1 to 64 small letters, digits and `._@-`, none that
/// the audit uses for others.
#[must_use]
pub fn check_name(name: &str) -> bool {
    const TAKEN: [&str; 3] = ["local", "penstock", "anonymous"];
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._@-".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(plain) && !TAKEN.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_do_what_the_ones_below_it_may() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
        for role in [Role::Viewer, Role::Operator, Role::Admin] {
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        assert!("root".parse::<Role>().is_err() && "Admin".parse::<Role>().is_err());
    }

    #[test]
    fn no_name_can_be_mistaken_for_another_in_the_audit() {
        for good in ["anna", "a.b@example.org", "7", "ci-deploy"] {
            assert!(check_name(good), "{good}");
        }
        let long = "x".repeat(65);
        for bad in ["", "Anna", "local", "penstock", "anonymous", "token:x", "a b", "é", "a\n", "a/b", long.as_str()] {
            assert!(!check_name(bad), "{bad}");
        }
    }
}
