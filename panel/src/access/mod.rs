//! Who may do what: the caller of each request, roles, and the headers of each answer.
//!
//! `panel.access = "open"` lets everybody on this machine be `local`, an admin; `"login"` asks for a
//! session's cookie or for a token. Handlers take [`Caller`] and need not know which it was.

mod caller;
pub(crate) mod guard;
pub(crate) mod headers;
pub(crate) mod roles;

pub use caller::{Caller, Via, login_required};

use crate::api::problem::Problem;
use actix_web::dev::ServiceRequest;
use penstock::settings::{AccessMode, PanelSettings};

/// What decides who may come in; one for all workers.
pub struct Access {
    mode: AccessMode,
}

impl Access {
    pub(crate) fn new(settings: &PanelSettings) -> Access {
        Access { mode: settings.access }
    }

    /// Who sends this request; `None` when it brings nothing that holds.
    pub(crate) async fn caller(&self, _request: &ServiceRequest) -> Result<Option<Caller>, Problem> {
        match self.mode {
            AccessMode::Open => Ok(Some(Caller::local())),
            AccessMode::Login => Ok(None),
        }
    }

    /// Who a token is of, for a WebSocket whose first message brings one. Errors: `login_required`.
    pub async fn token(&self, _token: &str) -> Result<Caller, Problem> {
        match self.mode {
            AccessMode::Open => Ok(Caller::local()),
            AccessMode::Login => Err(login_required()),
        }
    }

    /// Asks again who `caller` is: what lives longer than a request does so every few seconds, and
    /// ends when it fails. Errors: `login_required` when session or token hold no longer.
    pub async fn still(&self, caller: &Caller) -> Result<Caller, Problem> {
        match self.mode {
            AccessMode::Open => Ok(caller.clone()),
            AccessMode::Login => Err(login_required()),
        }
    }

    /// Whether a change that came with a cookie was meant by a page of ours.
    pub(crate) fn check_csrf(&self, _caller: &Caller, _request: &ServiceRequest) -> Result<(), Problem> {
        Ok(())
    }

    /// Whether pages are reached over https.
    pub(crate) fn https(&self) -> bool {
        false
    }
}
