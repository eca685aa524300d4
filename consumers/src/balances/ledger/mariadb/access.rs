//! People, sessions and tokens on the ledger's server.
//!
//! Changes of who may come in run one at a time, under the row `access` of `counters`; that a
//! session or token was used is one statement without it. Each may run again after a COMMIT
//! without an answer; then a removal finds nothing to remove, and an audit row of a failed login
//! may be there twice.

use super::people::{
    Outcome, alter_user, drop_old_sessions, drop_session, drop_token, drop_user, put_first_user, put_session,
    put_token, put_user, row_of_session, row_of_subject, row_of_token, row_of_user, rows_of_tokens, rows_of_users,
    touch_session, touch_token, written,
};
use super::{MariaDbLedger, lock_counter};
use crate::balances::ledger::access::{NOTHING, TokenRow, UserRow};
use async_trait::async_trait;
use penstock::accounts::{Accounts, AccountsError, NewToken, NewUser, SecretHash, Session, Token, User, UserChange};
use penstock::ledger::{Change, LedgerError};
use penstock::time::Micros;

/// What the retries see of an outcome: only a busy server begins them again.
fn split<T>(done: Outcome<T>) -> Result<Outcome<T>, LedgerError> {
    match done {
        Err(AccountsError::Store(error)) => Err(error),
        other => Ok(other),
    }
}

/// Runs a change in a transaction of its own, alone among the changes of who may come in.
macro_rules! write {
    ($self:ident, |$tx:ident, $now:ident| $change:expr) => {
        $self
            .retried(|| async {
                let $now = $self.now();
                let mut $tx = $self.begin().await?;
                lock_counter(&mut $tx, "access").await?;
                let done = split($change.await)?;
                if done.is_ok() {
                    $tx.commit().await?
                } else {
                    $tx.rollback().await?
                }
                Ok(done)
            })
            .await?
    };
}

/// Runs one statement.
macro_rules! one {
    ($self:ident, |$tx:ident| $statement:expr) => {
        $self
            .retried(|| async {
                let mut $tx = $self.inner.pool.acquire().await.map_err(super::failed)?;
                split($statement.await)
            })
            .await?
    };
}

#[async_trait]
impl Accounts for MariaDbLedger {
    async fn users(&self) -> Outcome<Vec<User>> {
        one!(self, |tx| rows_of_users(&mut tx))
    }

    async fn user(&self, name: &str) -> Outcome<Option<(User, Option<String>)>> {
        let row: Option<UserRow> = one!(self, |tx| row_of_user(&mut tx, name))?;
        row.map(|mut row| {
            let hash = row.password_hash.take();
            Ok((row.user()?, hash))
        })
        .transpose()
    }

    async fn user_of_subject(&self, subject: &str) -> Outcome<Option<User>> {
        let row: Option<UserRow> = one!(self, |tx| row_of_subject(&mut tx, subject))?;
        row.map(UserRow::user).transpose()
    }

    async fn add_first_user(&self, user: &NewUser, change: &Change) -> Outcome<bool> {
        write!(self, |tx, now| put_first_user(&mut tx, now, user, change))
    }

    async fn add_user(&self, user: &NewUser, change: &Change) -> Outcome<User> {
        write!(self, |tx, now| put_user(&mut tx, now, user, change))
    }

    async fn change_user(&self, name: &str, what: &UserChange, change: &Change) -> Outcome<User> {
        write!(self, |tx, now| alter_user(&mut tx, now, name, what, change))
    }

    async fn remove_user(&self, name: &str, change: &Change) -> Outcome<()> {
        write!(self, |tx, now| drop_user(&mut tx, now, name, change))
    }

    async fn open_session(
        &self,
        hash: &SecretHash,
        user: &str,
        password_hash: Option<&str>,
        change: &Change,
    ) -> Outcome<User> {
        write!(self, |tx, now| put_session(&mut tx, now, hash, user, password_hash, change))
    }

    async fn session(&self, hash: &SecretHash) -> Outcome<Option<Session>> {
        one!(self, |tx| row_of_session(&mut tx, hash))
    }

    async fn use_session(&self, hash: &SecretHash) -> Outcome<()> {
        let now = self.now();
        one!(self, |tx| touch_session(&mut tx, now, hash))
    }

    async fn end_session(&self, hash: &SecretHash) -> Outcome<()> {
        one!(self, |tx| drop_session(&mut tx, hash))
    }

    async fn forget_sessions(&self, opened: Micros, used: Micros) -> Outcome<u64> {
        one!(self, |tx| drop_old_sessions(&mut tx, opened, used))
    }

    async fn tokens(&self) -> Outcome<Vec<Token>> {
        one!(self, |tx| rows_of_tokens(&mut tx))
    }

    async fn token(&self, id: &str) -> Outcome<Option<(Token, SecretHash)>> {
        let row: Option<TokenRow> = one!(self, |tx| row_of_token(&mut tx, "id", id))?;
        row.map(TokenRow::token).transpose()
    }

    async fn add_token(&self, token: &NewToken, change: &Change) -> Outcome<Token> {
        write!(self, |tx, now| put_token(&mut tx, now, token, change))
    }

    async fn remove_token(&self, id: &str, change: &Change) -> Outcome<()> {
        write!(self, |tx, now| drop_token(&mut tx, now, id, change))
    }

    async fn use_token(&self, id: &str) -> Outcome<()> {
        let now = self.now();
        one!(self, |tx| touch_token(&mut tx, now, id))
    }

    async fn note(&self, action: &'static str, subject: &str, change: &Change) -> Outcome<()> {
        write!(self, |tx, now| written(&mut tx, now, change, action, subject, NOTHING, NOTHING))
    }
}
