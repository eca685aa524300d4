//! Who sends a request, as handlers see it.

use crate::api::problem::{Code, Problem};
use crate::app::LOCAL;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use penstock::accounts::{Role, SecretHash};
use penstock::ledger::Change;
use std::future::{Ready, ready};

/// How somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The panel is open; everybody is `local`.
    Open,
    /// With name and password.
    Password,
    /// Through the identity provider.
    Oidc,
    /// As a program, with a token.
    Token,
}

/// Who sends a request. A handler that takes it runs only for somebody who may call its route;
/// the name in the audit is [`Caller::who`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user's name, or the token's.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// How they came in.
    pub via: Via,
    /// They may do nothing before they have changed the password.
    pub must_change_password: bool,
    /// What they came in with, to ask again whether it still holds.
    pub(super) credential: Credential,
}

/// What a caller came in with, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    /// The panel is open.
    Nothing,
    /// A session.
    Session(SecretHash),
    /// A token's id and the hash of its secret.
    Token(String, SecretHash),
}

impl Caller {
    /// Everybody, while the panel is open.
    #[must_use]
    pub fn local() -> Caller {
        Caller {
            name: LOCAL.to_owned(),
            role: Role::Admin,
            via: Via::Open,
            must_change_password: false,
            credential: Credential::Nothing,
        }
    }

    /// The name that the audit gets: a user's, `token:NAME`, or `local`.
    #[must_use]
    pub fn who(&self) -> String {
        match self.via {
            Via::Token => format!("token:{}", self.name),
            Via::Open | Via::Password | Via::Oidc => self.name.clone(),
        }
    }

    /// A change of theirs.
    #[must_use]
    pub fn change(&self, why: impl Into<String>) -> Change {
        Change { who: self.who(), why: why.into() }
    }

    /// Whether they may do what `role` may. Errors: `password_change_required`, `forbidden`.
    pub fn needs(&self, role: Role) -> Result<(), Problem> {
        if self.must_change_password {
            let detail = "change the one-time password first: PUT /api/v1/session/password";
            return Err(Problem::new(Code::PasswordChangeRequired, detail));
        }
        if self.role < role {
            let detail = format!("this needs the role {role}; {} has the role {}", self.who(), self.role);
            return Err(Problem::new(Code::Forbidden, detail));
        }
        Ok(())
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Caller, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get::<Caller>().cloned().ok_or_else(login_required))
    }
}

/// Nobody came in.
#[must_use]
pub fn login_required() -> Problem {
    Problem::new(Code::LoginRequired, "log in at POST /api/v1/session, or send Authorization: Bearer with a token")
}
