//! Rows of users, sessions and tokens as the databases give them, and what is made of them.

use penstock::accounts::{AccountsError, LoginWay, SecretHash, Session, Token, User};
use penstock::ledger::LedgerError;
use penstock::time::Micros;
use serde_json::json;
use sqlx::FromRow;
use std::fmt::Write;

/// A row of `users`.
#[derive(FromRow)]
pub struct UserRow {
    pub name: String,
    role: String,
    pub password_hash: Option<String>,
    pub subject: Option<String>,
    disabled: i64,
    must_change: i64,
    created: i64,
    last_login: Option<i64>,
}

impl UserRow {
    pub fn user(self) -> Result<User, AccountsError> {
        Ok(User {
            role: role(&self.role)?,
            via: if self.subject.is_some() { LoginWay::Oidc } else { LoginWay::Password },
            disabled: self.disabled != 0,
            must_change_password: self.must_change != 0,
            created: Micros(self.created),
            last_login: self.last_login.map(Micros),
            name: self.name,
        })
    }
}

/// A row of `sessions` with its person.
#[derive(FromRow)]
pub struct SessionRow {
    opened: i64,
    last_used: i64,
    #[sqlx(flatten)]
    user: UserRow,
}

impl SessionRow {
    pub fn session(self) -> Result<Session, AccountsError> {
        Ok(Session { created: Micros(self.opened), last_used: Micros(self.last_used), user: self.user.user()? })
    }
}

/// A row of `api_tokens`.
#[derive(FromRow)]
pub struct TokenRow {
    pub id: String,
    name: String,
    role: String,
    pub hash: String,
    created_by: String,
    created: i64,
    expires: Option<i64>,
    last_used: Option<i64>,
}

impl TokenRow {
    pub fn token(self) -> Result<(Token, SecretHash), AccountsError> {
        let hash = unhex(&self.hash).ok_or_else(|| damaged("a token's hash", &self.id))?;
        let token = Token {
            role: role(&self.role)?,
            id: self.id,
            name: self.name,
            created_by: self.created_by,
            created: Micros(self.created),
            expires: self.expires.map(Micros),
            last_used: self.last_used.map(Micros),
        };
        Ok((token, hash))
    }
}

fn role(name: &str) -> Result<penstock::accounts::Role, AccountsError> {
    name.parse().map_err(|_| damaged("a role", name))
}

fn damaged(what: &str, value: &str) -> AccountsError {
    AccountsError::Store(LedgerError::Fatal(format!("{what} in the database is `{value}`")))
}

/// As it is stored.
pub fn hex(hash: &SecretHash) -> String {
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<SecretHash> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(hash)
}

/// What the audit keeps of a person.
pub fn shown_user(user: &User) -> String {
    json!({"role": user.role, "via": user.via, "disabled": user.disabled}).to_string()
}

/// What the audit keeps of a token.
pub fn shown_token(token: &Token) -> String {
    json!({"id": token.id, "role": token.role, "expires": token.expires.map(|t| t.to_string())}).to_string()
}

/// The audit's word for nothing before or after.
pub const NOTHING: &str = "null";

pub const USERS: &str =
    "SELECT name, role, password_hash, subject, disabled, must_change, created, last_login FROM users";
pub const TOKENS: &str = "SELECT id, name, role, hash, created_by, created, expires, last_used FROM api_tokens";
pub const SESSION: &str = "SELECT s.created AS opened, s.last_used, u.name, u.role, u.password_hash, u.subject,
        u.disabled, u.must_change, u.created, u.last_login
     FROM sessions s JOIN users u ON u.name = s.user_name WHERE s.hash = ?";
