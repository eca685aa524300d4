//! Statements over users, sessions and tokens, compiled once for each database.
//!
//! A change runs alone: SQLite has one writer, on MariaDB it holds the row `access` of `counters`.
//! So what it has looked at still holds when it writes, and it may run again after a COMMIT without
//! an answer: what is there already by the same call is taken for done.

use super::{Connection, changes};
use crate::balances::ledger::access::{
    NOTHING, SESSION, SessionRow, TOKENS, TokenRow, USERS, UserRow, hex, shown_token, shown_user,
};
use crate::balances::ledger::checks;
use penstock::accounts::{
    AccountsError, MAX_SESSIONS, MAX_TOKENS, MAX_USERS, NewToken, NewUser, Proof, Role, SecretHash, Session, Token,
    User, UserChange,
};
use penstock::ledger::Change;
use penstock::time::Micros;
use sqlx::AssertSqlSafe;

pub(super) type Outcome<T> = Result<T, AccountsError>;

pub(super) fn failed(error: sqlx::Error) -> AccountsError {
    AccountsError::Store(super::failed(error))
}

pub(super) async fn rows_of_users(tx: &mut Connection) -> Outcome<Vec<User>> {
    let rows: Vec<UserRow> =
        sqlx::query_as(AssertSqlSafe(format!("{USERS} ORDER BY name"))).fetch_all(tx).await.map_err(failed)?;
    rows.into_iter().map(UserRow::user).collect()
}

pub(super) async fn row_of_user(tx: &mut Connection, name: &str) -> Outcome<Option<UserRow>> {
    sqlx::query_as(AssertSqlSafe(format!("{USERS} WHERE name = ?"))).bind(name).fetch_optional(tx).await.map_err(failed)
}

pub(super) async fn row_of_subject(tx: &mut Connection, subject: &str) -> Outcome<Option<UserRow>> {
    sqlx::query_as(AssertSqlSafe(format!("{USERS} WHERE subject = ?")))
        .bind(subject)
        .fetch_optional(tx)
        .await
        .map_err(failed)
}

pub(super) async fn row_of_session(tx: &mut Connection, hash: &SecretHash) -> Outcome<Option<Session>> {
    let row: Option<SessionRow> = sqlx::query_as(SESSION).bind(hex(hash)).fetch_optional(tx).await.map_err(failed)?;
    row.map(SessionRow::session).transpose()
}

pub(super) async fn rows_of_tokens(tx: &mut Connection) -> Outcome<Vec<Token>> {
    let rows: Vec<TokenRow> =
        sqlx::query_as(AssertSqlSafe(format!("{TOKENS} ORDER BY name"))).fetch_all(tx).await.map_err(failed)?;
    rows.into_iter().map(|row| Ok(row.token()?.0)).collect()
}

pub(super) async fn row_of_token(tx: &mut Connection, column: &'static str, key: &str) -> Outcome<Option<TokenRow>> {
    sqlx::query_as(AssertSqlSafe(format!("{TOKENS} WHERE {column} = ?")))
        .bind(key)
        .fetch_optional(tx)
        .await
        .map_err(failed)
}

async fn counted(tx: &mut Connection, sql: &'static str) -> Outcome<i64> {
    sqlx::query_scalar(sql).fetch_one(tx).await.map_err(failed)
}

async fn existing_user(tx: &mut Connection, name: &str) -> Outcome<User> {
    let row = row_of_user(tx, name).await?;
    row.ok_or_else(|| AccountsError::NotFound(format!("user {name}")))?.user()
}

pub(super) async fn written(
    tx: &mut Connection,
    now: Micros,
    change: &Change,
    action: &str,
    subject: &str,
    before: &str,
    after: &str,
) -> Outcome<()> {
    checks::change(change)?;
    Ok(changes::audit(tx, now, change, action, subject, before, after).await?)
}

/// Adds a person, or finds that this very call has added them.
pub(super) async fn put_user(tx: &mut Connection, now: Micros, new: &NewUser, change: &Change) -> Outcome<User> {
    let (password, subject) = match &new.proof {
        Proof::PasswordHash(hash) => (Some(hash.as_str()), None),
        Proof::Subject(subject) => (None, Some(subject.as_str())),
    };
    if let Some(row) = row_of_user(tx, &new.name).await? {
        // Hashes are salted: an equal one is ours.
        let ours = row.password_hash.as_deref() == password && row.subject.as_deref() == subject;
        return if ours { row.user() } else { Err(AccountsError::Exists(format!("user {}", new.name))) };
    }
    if counted(tx, "SELECT count(*) FROM users").await? >= i64::from(MAX_USERS) {
        return Err(AccountsError::Full(format!("{MAX_USERS} users")));
    }
    sqlx::query(
        "INSERT INTO users (name, role, password_hash, subject, must_change, created)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(&new.name)
    .bind(new.role.name())
    .bind(password)
    .bind(subject)
    .bind(i64::from(new.must_change_password))
    .bind(now.0)
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    let user = existing_user(tx, &new.name).await?;
    let subject = format!("user {}", user.name);
    written(tx, now, change, "user_add", &subject, NOTHING, &shown_user(&user)).await?;
    Ok(user)
}

/// Adds the first person, unless there is one.
pub(super) async fn put_first_user(tx: &mut Connection, now: Micros, new: &NewUser, change: &Change) -> Outcome<bool> {
    if counted(tx, "SELECT count(*) FROM users").await? > 0 {
        return Ok(false);
    }
    put_user(tx, now, new, change).await.map(|_| true)
}

/// Refuses to take an admin away when no other one could let people in.
async fn keep_an_admin(tx: &mut Connection, user: &User) -> Outcome<()> {
    if user.role != Role::Admin || user.disabled {
        return Ok(());
    }
    let admins = counted(tx, "SELECT count(*) FROM users WHERE role = 'admin' AND disabled = 0").await?;
    if admins <= 1 { Err(AccountsError::LastAdmin(user.name.clone())) } else { Ok(()) }
}

pub(super) async fn alter_user(
    tx: &mut Connection,
    now: Micros,
    name: &str,
    what: &UserChange,
    change: &Change,
) -> Outcome<User> {
    let Some(row) = row_of_user(tx, name).await? else {
        return Err(AccountsError::NotFound(format!("user {name}")));
    };
    let (had, local) = (row.password_hash.clone(), row.subject.is_none());
    let before = row.user()?;
    if what.password.is_some() && !local {
        return Err(AccountsError::NoPassword(name.to_owned()));
    }
    let role = what.role.unwrap_or(before.role);
    let disabled = what.disabled.unwrap_or(before.disabled);
    let (hash, must_change) = match &what.password {
        Some((hash, must_change)) => (Some(hash.clone()), *must_change),
        None => (had.clone(), before.must_change_password),
    };
    if (role, disabled, must_change) == (before.role, before.disabled, before.must_change_password) && hash == had {
        return Ok(before);
    }
    if role != Role::Admin || disabled {
        keep_an_admin(tx, &before).await?;
    }
    sqlx::query("UPDATE users SET role = ?, password_hash = ?, disabled = ?, must_change = ? WHERE name = ?")
        .bind(role.name())
        .bind(&hash)
        .bind(i64::from(disabled))
        .bind(i64::from(must_change))
        .bind(name)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    if disabled || hash != had {
        sqlx::query("DELETE FROM sessions WHERE user_name = ?").bind(name).execute(&mut *tx).await.map_err(failed)?;
    }
    let after = existing_user(tx, name).await?;
    let action = match (hash != had, disabled != before.disabled) {
        (_, true) => {
            if disabled {
                "user_disable"
            } else {
                "user_enable"
            }
        }
        (true, false) => "user_password",
        (false, false) => "user_role",
    };
    let (was, is) = (shown_user(&before), shown_user(&after));
    written(tx, now, change, action, &format!("user {name}"), &was, &is).await?;
    Ok(after)
}

pub(super) async fn drop_user(tx: &mut Connection, now: Micros, name: &str, change: &Change) -> Outcome<()> {
    let before = existing_user(tx, name).await?;
    keep_an_admin(tx, &before).await?;
    // The sessions go with the person (ON DELETE CASCADE).
    sqlx::query("DELETE FROM users WHERE name = ?").bind(name).execute(&mut *tx).await.map_err(failed)?;
    let was = shown_user(&before);
    written(tx, now, change, "user_remove", &format!("user {name}"), &was, NOTHING).await
}

pub(super) async fn put_session(
    tx: &mut Connection,
    now: Micros,
    hash: &SecretHash,
    name: &str,
    password_hash: Option<&str>,
    change: &Change,
) -> Outcome<User> {
    let row = row_of_user(tx, name).await?;
    let row = row.filter(|row| password_hash.is_none() || row.password_hash.as_deref() == password_hash);
    let user = row.ok_or_else(|| AccountsError::NotFound(format!("user {name}")))?.user()?;
    if user.disabled {
        return Err(AccountsError::Disabled(name.to_owned()));
    }
    if row_of_session(tx, hash).await?.is_some() {
        return Ok(user);
    }
    let oldest: Vec<String> =
        sqlx::query_scalar("SELECT hash FROM sessions WHERE user_name = ? ORDER BY last_used DESC, hash")
            .bind(name)
            .fetch_all(&mut *tx)
            .await
            .map_err(failed)?;
    for one in oldest.iter().skip(MAX_SESSIONS as usize - 1) {
        sqlx::query("DELETE FROM sessions WHERE hash = ?").bind(one).execute(&mut *tx).await.map_err(failed)?;
    }
    sqlx::query("INSERT INTO sessions (hash, user_name, created, last_used) VALUES (?, ?, ?, ?)")
        .bind(hex(hash))
        .bind(name)
        .bind(now.0)
        .bind(now.0)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    sqlx::query("UPDATE users SET last_login = ? WHERE name = ?")
        .bind(now.0)
        .bind(name)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    written(tx, now, change, "login", &format!("user {name}"), NOTHING, NOTHING).await?;
    Ok(User { last_login: Some(now), ..user })
}

pub(super) async fn touch_session(tx: &mut Connection, now: Micros, hash: &SecretHash) -> Outcome<()> {
    sqlx::query("UPDATE sessions SET last_used = ? WHERE hash = ? AND last_used < ?")
        .bind(now.0)
        .bind(hex(hash))
        .bind(now.0)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}

pub(super) async fn drop_session(tx: &mut Connection, hash: &SecretHash) -> Outcome<()> {
    sqlx::query("DELETE FROM sessions WHERE hash = ?").bind(hex(hash)).execute(tx).await.map_err(failed)?;
    Ok(())
}

pub(super) async fn drop_old_sessions(tx: &mut Connection, opened: Micros, used: Micros) -> Outcome<u64> {
    let done = sqlx::query("DELETE FROM sessions WHERE created < ? OR last_used < ?")
        .bind(opened.0)
        .bind(used.0)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(done.rows_affected())
}

pub(super) async fn put_token(tx: &mut Connection, now: Micros, new: &NewToken, change: &Change) -> Outcome<Token> {
    if let Some(row) = row_of_token(tx, "name", &new.name).await? {
        if row.id == new.id && row.hash == hex(&new.hash) {
            return Ok(row.token()?.0);
        }
        if !new.replaces {
            return Err(AccountsError::Exists(format!("token {}", new.name)));
        }
        let id = row.id;
        sqlx::query("DELETE FROM api_tokens WHERE id = ?").bind(id).execute(&mut *tx).await.map_err(failed)?;
    }
    if counted(tx, "SELECT count(*) FROM api_tokens").await? >= i64::from(MAX_TOKENS) {
        return Err(AccountsError::Full(format!("{MAX_TOKENS} tokens")));
    }
    sqlx::query(
        "INSERT INTO api_tokens (id, name, role, hash, created_by, created, expires)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&new.id)
    .bind(&new.name)
    .bind(new.role.name())
    .bind(hex(&new.hash))
    .bind(&change.who)
    .bind(now.0)
    .bind(new.expires.map(|t| t.0))
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    let row = row_of_token(tx, "id", &new.id).await?;
    let (token, _) = row.ok_or_else(|| AccountsError::NotFound(format!("token {}", new.id)))?.token()?;
    let subject = format!("token {}", new.name);
    written(tx, now, change, "token_add", &subject, NOTHING, &shown_token(&token)).await?;
    Ok(token)
}

pub(super) async fn drop_token(tx: &mut Connection, now: Micros, id: &str, change: &Change) -> Outcome<()> {
    let row = row_of_token(tx, "id", id).await?;
    let (token, _) = row.ok_or_else(|| AccountsError::NotFound(format!("token {id}")))?.token()?;
    sqlx::query("DELETE FROM api_tokens WHERE id = ?").bind(id).execute(&mut *tx).await.map_err(failed)?;
    let subject = format!("token {}", token.name);
    written(tx, now, change, "token_remove", &subject, &shown_token(&token), NOTHING).await
}

pub(super) async fn touch_token(tx: &mut Connection, now: Micros, id: &str) -> Outcome<()> {
    sqlx::query("UPDATE api_tokens SET last_used = ? WHERE id = ?")
        .bind(now.0)
        .bind(id)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}
