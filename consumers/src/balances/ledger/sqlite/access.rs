//! People, sessions and tokens in the ledger's file, through its one writer.

use super::people::{
    Outcome, alter_user, drop_old_sessions, drop_session, drop_token, drop_user, failed, put_first_user, put_session,
    put_token, put_user, row_of_session, row_of_subject, row_of_token, row_of_user, rows_of_tokens, rows_of_users,
    touch_session, touch_token, written,
};
use super::{SqliteLedger, begin};
use crate::balances::ledger::access::{NOTHING, TokenRow, UserRow};
use async_trait::async_trait;
use penstock::accounts::{Accounts, NewToken, NewUser, SecretHash, Session, Token, User, UserChange};
use penstock::ledger::Change;
use penstock::time::Micros;

/// Runs a change in a transaction of its own.
macro_rules! write {
    ($self:ident, |$tx:ident, $now:ident| $change:expr) => {{
        let $now = $self.now();
        let mut writer = $self.writer().await;
        let mut $tx = begin(&mut writer).await?;
        let done = $change.await?;
        $tx.commit().await.map_err(failed)?;
        Ok(done)
    }};
}

#[async_trait]
impl Accounts for SqliteLedger {
    async fn users(&self) -> Outcome<Vec<User>> {
        rows_of_users(&mut *self.read().await?).await
    }

    async fn user(&self, name: &str) -> Outcome<Option<(User, Option<String>)>> {
        let row = row_of_user(&mut *self.read().await?, name).await?;
        row.map(|mut row| {
            let hash = row.password_hash.take();
            Ok((row.user()?, hash))
        })
        .transpose()
    }

    async fn user_of_subject(&self, subject: &str) -> Outcome<Option<User>> {
        let row = row_of_subject(&mut *self.read().await?, subject).await?;
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
        row_of_session(&mut *self.read().await?, hash).await
    }

    async fn use_session(&self, hash: &SecretHash) -> Outcome<()> {
        write!(self, |tx, now| touch_session(&mut tx, now, hash))
    }

    async fn end_session(&self, hash: &SecretHash) -> Outcome<()> {
        write!(self, |tx, _now| drop_session(&mut tx, hash))
    }

    async fn forget_sessions(&self, opened: Micros, used: Micros) -> Outcome<u64> {
        write!(self, |tx, _now| drop_old_sessions(&mut tx, opened, used))
    }

    async fn tokens(&self) -> Outcome<Vec<Token>> {
        rows_of_tokens(&mut *self.read().await?).await
    }

    async fn token(&self, id: &str) -> Outcome<Option<(Token, SecretHash)>> {
        row_of_token(&mut *self.read().await?, "id", id).await?.map(TokenRow::token).transpose()
    }

    async fn add_token(&self, token: &NewToken, change: &Change) -> Outcome<Token> {
        write!(self, |tx, now| put_token(&mut tx, now, token, change))
    }

    async fn remove_token(&self, id: &str, change: &Change) -> Outcome<()> {
        write!(self, |tx, now| drop_token(&mut tx, now, id, change))
    }

    async fn use_token(&self, id: &str) -> Outcome<()> {
        write!(self, |tx, now| touch_token(&mut tx, now, id))
    }

    async fn note(&self, action: &'static str, subject: &str, change: &Change) -> Outcome<()> {
        write!(self, |tx, now| written(&mut tx, now, change, action, subject, NOTHING, NOTHING))
    }
}
