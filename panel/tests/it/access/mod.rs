//! Who may come in, over HTTP with a real SQLite ledger: sessions, CSRF, tokens, roles, headers.

mod gate;
mod guard;
mod login;
mod people;
