//! Who may come in, over HTTP with a real SQLite ledger: sessions, CSRF, tokens, roles, headers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod gate;
mod guard;
mod login;
mod people;
#[path = "../support/mod.rs"]
mod support;
