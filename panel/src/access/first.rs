//! The first ones who come in: an admin with a one-time password, and this machine's own commands.

use super::password::Passwords;
use super::secret::{self, NoRandom};
use crate::app::LOCAL;
use penstock::accounts::{Accounts, AccountsError, NewToken, NewUser, Proof, Role};
use penstock::ledger::Change;

/// The name of the first admin.
const ADMIN: &str = "admin";

/// Why somebody could not be let in for the first time.
#[derive(Debug, thiserror::Error)]
pub enum FirstError {
    /// The database.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// No secret could be made.
    #[error(transparent)]
    Random(#[from] NoRandom),
    /// The password could not be hashed.
    #[error("the password could not be hashed")]
    Hash,
}

/// The first admin, to be told to whoever starts the panel, once.
pub struct FirstAdmin {
    /// The name.
    pub name: &'static str,
    /// Good until it is changed, which has to be done before anything else.
    pub one_time_password: String,
}

/// Makes the user `admin` when there is no user yet.
pub async fn first_admin(accounts: &dyn Accounts) -> Result<Option<FirstAdmin>, FirstError> {
    if !accounts.users().await?.is_empty() {
        return Ok(None);
    }
    let one_time_password = secret::one_time_password()?;
    let hash = Passwords::default().hash(one_time_password.clone()).await.map_err(|_| FirstError::Hash)?;
    let user = NewUser {
        name: ADMIN.to_owned(),
        role: Role::Admin,
        proof: Proof::PasswordHash(hash),
        must_change_password: true,
    };
    let change = Change { who: LOCAL.to_owned(), why: "the first start with logins".to_owned() };
    // Of several panels that start at once, one is first.
    let first = accounts.add_first_user(&user, &change).await?;
    Ok(first.then_some(FirstAdmin { name: ADMIN, one_time_password }))
}

/// A new admin token in place of the one of this name: for the commands of the machine that a panel
/// runs on. Who can read the file that it goes into could read the database too.
pub async fn machine_token(accounts: &dyn Accounts, name: &str) -> Result<String, FirstError> {
    let made = secret::token()?;
    let new = NewToken {
        id: made.id,
        name: name.to_owned(),
        role: Role::Admin,
        hash: made.hash,
        expires: None,
        replaces: true,
    };
    let change = Change { who: LOCAL.to_owned(), why: "the panel starts".to_owned() };
    accounts.add_token(&new, &change).await?;
    Ok(made.text)
}

/// A password that is good for one login, to be told to somebody.
pub fn one_time_password() -> Result<String, NoRandom> {
    secret::one_time_password()
}
