//! People, sessions and tokens in SQL that SQLite and MariaDB both take.
//!
//! Each database's own file opens and ends the transactions; what happens inside is the same text,
//! written once as a macro over the connection's type (the bounds that sqlx asks of a generic
//! function would be longer than the functions). A change runs alone: SQLite has one writer, on
//! MariaDB it holds the row `access` of `counters`. So what it has looked at still holds when it
//! writes, and it may run again after a COMMIT without an answer: what is there already by the same
//! call is taken for done.

mod rows;
mod statements;

pub(super) use rows::{NOTHING, SESSION, SessionRow, TOKENS, TokenRow, USERS, UserRow, hex, shown_token, shown_user};
pub(super) use statements::access_statements;
