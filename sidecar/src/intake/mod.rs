//! Intake: from a request's body to an acknowledged group in the spool.
//!
//! ```text
//! headers ─▶ request ─▶ keys ─▶ body ─▶ inflate ─▶ (idempotency) ─▶ split ▸ admit ▸ rate ▸ append ─▶ turn ─▶ answer
//!             400 415    401    408 413   400 413     422 waits         per-event    429   503     os│disk    202 400
//! ```
//!
//! Everything from *split* to *append* happens without a wait, in buffers of the worker thread
//! that the next request uses again; only the body and the answer belong to the request.

mod accounts;
pub mod answer;
pub mod body;
mod claim;
mod durable;
pub mod inflate;
pub mod insert;
pub mod keys;
pub mod promise;
pub mod rate;
mod refused;
pub mod request;
pub mod split;
pub mod take;
pub(crate) mod turn;
pub mod worker;
