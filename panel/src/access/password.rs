//! Passwords: Argon2id with OWASP's parameters, on threads of their own, few at a time.
//!
//! One hash takes 19 MiB and some tens of milliseconds of a core. So only [`AT_ONCE`] run, and only
//! [`WAITING`] wait: a flood of logins is turned away before it takes the machine from the events.
//! A name that nobody has costs the same hash as one that somebody has.

use crate::api::problem::{Code, Problem};
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::{Arc, LazyLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const AT_ONCE: usize = 2;
const WAITING: usize = 30;
/// OWASP Password Storage Cheat Sheet: m = 19 MiB, t = 2, p = 1.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;

/// Shortest password that people may choose, in characters.
pub const SHORTEST: usize = 12;
/// Longest, in bytes.
pub const LONGEST: usize = 1_024;

/// What hashes and compares.
pub struct Passwords {
    queue: Arc<Semaphore>,
    slots: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Passwords { queue: Arc::new(Semaphore::new(AT_ONCE + WAITING)), slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Passwords {
    /// Hashes a password into a PHC string.
    ///
    /// Errors: `too_many_attempts` when too many wait.
    pub async fn hash(&self, password: String) -> Result<String, Problem> {
        self.run(move || hashed(&password)).await?.map_err(|e| broken(&e))
    }

    /// Whether `password` is the one of `stored`; without a stored one it takes as long and is not.
    ///
    /// Errors: `too_many_attempts` when too many wait.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, Problem> {
        /// Nobody's.
        static DUMMY: LazyLock<String> = LazyLock::new(|| hashed("of nobody").unwrap_or_default());
        self.run(move || {
            let nobody = DUMMY.as_str();
            let fits = argon2().verify_password(password.as_bytes(), stored.as_deref().unwrap_or(nobody)).is_ok();
            fits && stored.is_some()
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let busy = || Problem::new(Code::TooManyAttempts, "too many logins at once; try again").retry_after(1);
        let place = self.queue.clone().try_acquire_owned().map_err(|_| busy())?;
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| busy())?;
        // The permits go along: a client that hangs up does not make room while its hash still runs.
        let held: (OwnedSemaphorePermit, OwnedSemaphorePermit) = (place, slot);
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(held);
            done
        });
        done.await.map_err(|e| broken(&e.to_string()))
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes on this thread.
fn hashed(password: &str) -> Result<String, String> {
    argon2().hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|e| e.to_string())
}

fn broken(why: &str) -> Problem {
    tracing::error!(why, "a password could not be hashed");
    Problem::new(Code::LedgerUnavailable, "the password could not be checked; try again")
}

/// Whether people may choose this password.
///
/// Errors: `bad_parameter` at `field`.
pub fn check(field: &'static str, password: &str, name: &str) -> Result<(), Problem> {
    if password.chars().count() < SHORTEST {
        return Err(Problem::parameter(field, format!("must have at least {SHORTEST} characters")));
    }
    if password.len() > LONGEST {
        return Err(Problem::parameter(field, format!("may have at most {LONGEST} bytes")));
    }
    if password.eq_ignore_ascii_case(name) {
        return Err(Problem::parameter(field, "must not be the name"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_is_argon2id_with_owasp_s_parameters_and_fits_its_password_alone() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse battery".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse battery".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("correct horse batterz".to_owned(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("of nobody".to_owned(), None).await.unwrap());
    }

    #[tokio::test]
    async fn more_logins_than_may_wait_are_turned_away() {
        let passwords = Passwords::default();
        let all = futures::future::join_all((0..100).map(|_| passwords.verify("x".to_owned(), None))).await;
        let away = all.iter().filter(|r| matches!(r, Err(p) if p.code == Code::TooManyAttempts)).count();
        assert_eq!(away, 100 - AT_ONCE - WAITING);
    }

    #[test]
    fn short_passwords_and_the_name_itself_are_refused() {
        assert!(check("new", "elevenchars", "anna").is_err());
        assert!(check("new", "äöüäöüäöüäöü", "anna").is_ok());
        assert!(check("new", "anna@example.org", "anna@example.org").is_err());
        assert!(check("new", &"x".repeat(LONGEST + 1), "anna").is_err());
    }
}
