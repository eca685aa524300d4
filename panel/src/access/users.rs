//! `/api/v1/users`: who may log in. For admins.

use super::{Access, Caller, password};
use crate::api::body;
use crate::api::problem::{Code, Problem};
use crate::api::types::{Page, Time};
use crate::api::{Outcome, answer, json, no_params};
use actix_web::{HttpRequest, web};
use penstock::accounts::{self, AccountsError, LoginWay, NewUser, Proof, Role, UserChange, check_name};
use serde::{Deserialize, Serialize};

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct User {
    /// The name.
    pub name: String,
    /// What they may do.
    #[schema(value_type = String, example = "viewer")]
    pub role: Role,
    /// Whether they are locked out.
    pub disabled: bool,
    /// How they log in.
    #[schema(value_type = String, example = "password")]
    pub via: LoginWay,
    /// Whether they must change the password before anything else.
    pub must_change_password: bool,
    /// When they were added.
    pub created: Time,
    /// When they last logged in.
    pub last_login: Option<Time>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    role: Role,
    password: String,
    #[serde(default)]
    must_change_password: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changed {
    role: Option<Role>,
    password: Option<String>,
    disabled: Option<bool>,
    #[serde(default)]
    must_change_password: bool,
}

/// `GET /api/v1/users`: everybody, by name.
pub async fn list(access: web::Data<Access>, request: HttpRequest) -> Outcome {
    no_params(&request)?;
    let users = access.accounts.users().await?;
    let result: Vec<User> = users.into_iter().map(User::from).collect();
    json(&Page { status: "ok".to_owned(), result, next_cursor: None, timestamp: Time(access.clock.now()) })
}

/// `POST /api/v1/users`: one more.
pub async fn add(access: web::Data<Access>, caller: Caller, request: HttpRequest, payload: web::Payload) -> Outcome {
    no_params(&request)?;
    let wanted: Wanted = body::json(&request, payload).await?;
    valid_name("name", &wanted.name)?;
    password::check("password", &wanted.password, &wanted.name)?;
    let hash = access.passwords.hash(wanted.password).await?;
    let new = NewUser {
        name: wanted.name,
        role: wanted.role,
        proof: Proof::PasswordHash(hash),
        must_change_password: wanted.must_change_password,
    };
    let user = access.accounts.add_user(&new, &caller.change("")).await?;
    answer(User::from(user), access.clock.now())
}

/// `PUT /api/v1/users/{name}`: role, password, locked out or not.
pub async fn change(
    access: web::Data<Access>,
    caller: Caller,
    request: HttpRequest,
    name: web::Path<String>,
    payload: web::Payload,
) -> Outcome {
    no_params(&request)?;
    let wanted: Changed = body::json(&request, payload).await?;
    known(&name)?;
    if wanted.role.is_none() && wanted.password.is_none() && wanted.disabled.is_none() {
        return Err(Problem::new(Code::BadBody, "name role, password, disabled or several of them"));
    }
    let password = match wanted.password {
        Some(new) => {
            password::check("password", &new, &name)?;
            Some((access.passwords.hash(new).await?, wanted.must_change_password))
        }
        None if wanted.must_change_password => {
            let detail = "goes with a new password only";
            return Err(Problem::parameter("must_change_password", detail));
        }
        None => None,
    };
    let what = UserChange { role: wanted.role, password, disabled: wanted.disabled };
    let user = access.accounts.change_user(&name, &what, &caller.change("")).await?;
    answer(User::from(user), access.clock.now())
}

/// `DELETE /api/v1/users/{name}`.
pub async fn remove(
    access: web::Data<Access>,
    caller: Caller,
    request: HttpRequest,
    name: web::Path<String>,
) -> Outcome {
    no_params(&request)?;
    known(&name)?;
    access.accounts.remove_user(&name, &caller.change("")).await?;
    answer(serde_json::json!({ "name": *name }), access.clock.now())
}

/// Whether a user or a token may be called so. Errors: `bad_parameter` at `field`.
pub(super) fn valid_name(field: &'static str, name: &str) -> Result<(), Problem> {
    if check_name(name) {
        return Ok(());
    }
    let detail = "1 to 64 of a-z, 0-9 and . _ @ -; not local, penstock or anonymous";
    Err(Problem::parameter(field, detail))
}

/// A name that cannot be anybody's is nobody's.
fn known(name: &str) -> Result<(), Problem> {
    if check_name(name) { Ok(()) } else { Err(AccountsError::NotFound("user of this name".to_owned()).into()) }
}

impl From<accounts::User> for User {
    fn from(user: accounts::User) -> User {
        User {
            name: user.name,
            role: user.role,
            disabled: user.disabled,
            via: user.via,
            must_change_password: user.must_change_password,
            created: Time(user.created),
            last_login: user.last_login.map(Time),
        }
    }
}
