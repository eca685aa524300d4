//! `/api/v1/tokens`: what programs come in with. For admins.

use super::users::valid_name;
use super::{Access, Caller, secret};
use crate::api::body;
use crate::api::problem::Problem;
use crate::api::types::{Page, Time};
use crate::api::{Outcome, answer, json, no_params};
use actix_web::{HttpRequest, web};
use penstock::accounts::{self, AccountsError, NewToken, Role};
use serde::{Deserialize, Serialize};

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Token {
    /// What names it, a part of the token itself.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    #[schema(value_type = String, example = "viewer")]
    pub role: Role,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Time,
    /// From when on it is void.
    pub expires: Option<Time>,
    /// When it was last used, to the minute.
    pub last_used: Option<Time>,
}

/// A token as it is shown once, to who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MadeToken {
    /// What names it.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    #[schema(value_type = String, example = "viewer")]
    pub role: Role,
    /// From when on it is void.
    pub expires: Option<Time>,
    /// The token; nobody can see it again.
    pub token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    role: Role,
    #[serde(default)]
    expires: Option<String>,
}

/// `GET /api/v1/tokens`: all, by name.
pub async fn list(access: web::Data<Access>, request: HttpRequest) -> Outcome {
    no_params(&request)?;
    let tokens = access.accounts.tokens().await?;
    let result: Vec<Token> = tokens.into_iter().map(Token::from).collect();
    json(&Page { status: "ok".to_owned(), result, next_cursor: None, timestamp: Time(access.clock.now()) })
}

/// `POST /api/v1/tokens`: one more; the answer is the only one that has the token itself.
pub async fn add(access: web::Data<Access>, caller: Caller, request: HttpRequest, payload: web::Payload) -> Outcome {
    no_params(&request)?;
    let wanted: Wanted = body::json(&request, payload).await?;
    valid_name("name", &wanted.name)?;
    let now = access.clock.now();
    let expires = wanted.expires.map(|text| crate::api::params::time("expires", &text)).transpose()?;
    if expires.is_some_and(|end| end <= now) {
        return Err(Problem::parameter("expires", "must lie ahead"));
    }
    let made = secret::token()?;
    let new = NewToken { id: made.id, name: wanted.name, role: wanted.role, hash: made.hash, expires, replaces: false };
    let token = access.accounts.add_token(&new, &caller.change("")).await?;
    let expires = token.expires.map(Time);
    answer(MadeToken { id: token.id, name: token.name, role: token.role, expires, token: made.text }, now)
}

/// `DELETE /api/v1/tokens/{id}`: void from now on.
pub async fn remove(access: web::Data<Access>, caller: Caller, request: HttpRequest, id: web::Path<String>) -> Outcome {
    no_params(&request)?;
    if id.len() > 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(AccountsError::NotFound("token of this id".to_owned()).into());
    }
    access.accounts.remove_token(&id, &caller.change("")).await?;
    answer(serde_json::json!({ "id": *id }), access.clock.now())
}

impl From<accounts::Token> for Token {
    fn from(token: accounts::Token) -> Token {
        Token {
            id: token.id,
            name: token.name,
            role: token.role,
            created_by: token.created_by,
            created: Time(token.created),
            expires: token.expires.map(Time),
            last_used: token.last_used.map(Time),
        }
    }
}
