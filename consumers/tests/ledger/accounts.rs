//! Who may come in: people, sessions, tokens; what each database promises of them.

use crate::support::{Bench, NOON, who};
use penstock::accounts::{
    Accounts, AccountsError, LoginWay, MAX_SESSIONS, NewToken, NewUser, Proof, Role, SecretHash, UserChange,
};
use penstock::ledger::{AuditFilter, Ledger};
use std::time::Duration;

fn person(name: &str, role: Role) -> NewUser {
    let proof = Proof::PasswordHash(format!("$argon2id${name}"));
    NewUser { name: name.into(), role, proof, must_change_password: false }
}

fn token(id: &str, name: &str) -> NewToken {
    NewToken { id: id.into(), name: name.into(), role: Role::Viewer, hash: secret(7), expires: None, replaces: false }
}

fn secret(n: u8) -> SecretHash {
    [n; 32]
}

async fn log_in<L: Accounts>(ledger: &L, n: u8, name: &str) -> Result<penstock::accounts::User, AccountsError> {
    ledger.open_session(&secret(n), name, None, &who(name)).await
}

async fn actions<L: Ledger>(ledger: &L) -> Vec<String> {
    ledger.audit(&AuditFilter::default()).await.unwrap().into_iter().map(|row| row.action).collect()
}

pub async fn the_first_user_is_added_once<L: Ledger + Accounts>(bench: Bench<L>) {
    let (first, other, local) = (person("admin", Role::Admin), person("other", Role::Admin), who("local"));
    let (a, b) =
        futures::join!(bench.ledger.add_first_user(&first, &local), bench.ledger.add_first_user(&other, &local));
    assert_eq!(a.unwrap() as u8 + b.unwrap() as u8, 1);
    assert!(!bench.ledger.add_first_user(&person("third", Role::Admin), &who("local")).await.unwrap());
    assert_eq!(bench.one("SELECT count(*) FROM users").await, 1);
    assert_eq!(actions(&bench.ledger).await, ["user_add"]);
}

pub async fn people_come_back_as_they_were_added_and_changed<L: Ledger + Accounts>(bench: Bench<L>) {
    let added = bench.ledger.add_user(&person("anna", Role::Operator), &who("admin")).await.unwrap();
    assert_eq!((added.role, added.via, added.disabled), (Role::Operator, LoginWay::Password, false));
    assert_eq!((added.created, added.last_login), (NOON, None));
    // The same call again, as after a COMMIT without an answer; another one of the same name.
    assert_eq!(bench.ledger.add_user(&person("anna", Role::Operator), &who("admin")).await.unwrap(), added);
    let other = NewUser { proof: Proof::PasswordHash("$argon2id$other".into()), ..person("anna", Role::Admin) };
    assert!(matches!(bench.ledger.add_user(&other, &who("admin")).await, Err(AccountsError::Exists(_))));
    let subject = NewUser { proof: Proof::Subject("https://id.example|7".into()), ..person("bert", Role::Viewer) };
    let bert = bench.ledger.add_user(&subject, &who("bert")).await.unwrap();
    assert_eq!(bert.via, LoginWay::Oidc);
    assert_eq!(bench.ledger.user_of_subject("https://id.example|7").await.unwrap(), Some(bert));
    assert_eq!(bench.ledger.user_of_subject("https://id.example|8").await.unwrap(), None);
    let (found, hash) = bench.ledger.user("anna").await.unwrap().unwrap();
    assert_eq!((found, hash.as_deref()), (added, Some("$argon2id$anna")));
    assert_eq!(bench.ledger.user("Anna").await.unwrap(), None);
    let what = UserChange { password: Some(("$argon2id$new".into(), true)), ..UserChange::default() };
    let changed = bench.ledger.change_user("anna", &what, &who("admin")).await.unwrap();
    assert!(changed.must_change_password);
    let refused = bench.ledger.change_user("bert", &what, &who("admin")).await;
    assert!(matches!(refused, Err(AccountsError::NoPassword(_))), "{refused:?}");
    let nothing = bench.ledger.change_user("anna", &UserChange::default(), &who("admin")).await.unwrap();
    assert_eq!(nothing, changed);
    let names: Vec<String> = bench.ledger.users().await.unwrap().into_iter().map(|u| u.name).collect();
    assert_eq!(names, ["anna", "bert"]);
    assert_eq!(actions(&bench.ledger).await, ["user_password", "user_add", "user_add"]);
    assert_eq!(bench.one("SELECT count(*) FROM audit WHERE after LIKE '%argon2%'").await, 0);
}

pub async fn the_last_admin_stays<L: Ledger + Accounts>(bench: Bench<L>) {
    bench.ledger.add_user(&person("anna", Role::Admin), &who("x")).await.unwrap();
    bench.ledger.add_user(&person("bert", Role::Admin), &who("x")).await.unwrap();
    bench.ledger.add_user(&person("carl", Role::Viewer), &who("x")).await.unwrap();
    let out = UserChange { disabled: Some(true), ..UserChange::default() };
    let down = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
    // Both at once: one of them is the last.
    let x = who("x");
    let (a, b) =
        futures::join!(bench.ledger.change_user("anna", &out, &x), bench.ledger.change_user("bert", &down, &x));
    let (kept, refused) = if a.is_err() { ("anna", a) } else { ("bert", b) };
    assert!(matches!(refused, Err(AccountsError::LastAdmin(_))), "{refused:?}");
    for refused in [
        bench.ledger.change_user(kept, &out, &who("x")).await.err(),
        bench.ledger.change_user(kept, &down, &who("x")).await.err(),
        bench.ledger.remove_user(kept, &who("x")).await.err(),
    ] {
        assert!(matches!(refused, Some(AccountsError::LastAdmin(_))), "{refused:?}");
    }
    bench.ledger.remove_user("carl", &who("x")).await.unwrap();
    let gone = bench.ledger.remove_user("carl", &who("x")).await;
    assert!(matches!(gone, Err(AccountsError::NotFound(_))), "{gone:?}");
    assert_eq!(bench.one("SELECT count(*) FROM users WHERE role = 'admin' AND disabled = 0").await, 1);
}

pub async fn a_session_ends_with_its_password_or_its_person<L: Ledger + Accounts>(bench: Bench<L>) {
    for name in ["anna", "bert", "carl"] {
        bench.ledger.add_user(&person(name, Role::Viewer), &who("x")).await.unwrap();
    }
    let (ledger, clock) = (&bench.ledger, &bench.clock);
    for (n, name) in [(1, "anna"), (2, "anna"), (3, "bert"), (4, "carl")] {
        assert_eq!(log_in(ledger, n, name).await.unwrap().last_login, Some(NOON));
    }
    let session = ledger.session(&secret(1)).await.unwrap().unwrap();
    assert_eq!((session.user.name.as_str(), session.created, session.last_used), ("anna", NOON, NOON));
    clock.advance(Duration::from_secs(60));
    ledger.use_session(&secret(1)).await.unwrap();
    let later = NOON.plus(Duration::from_secs(60));
    assert_eq!(ledger.session(&secret(1)).await.unwrap().unwrap().last_used, later);
    // A role is looked up at each use; a password ends all sessions of its person.
    let role = UserChange { role: Some(Role::Operator), ..UserChange::default() };
    ledger.change_user("anna", &role, &who("x")).await.unwrap();
    assert_eq!(ledger.session(&secret(1)).await.unwrap().unwrap().user.role, Role::Operator);
    let password = UserChange { password: Some(("$argon2id$n".into(), false)), ..UserChange::default() };
    ledger.change_user("anna", &password, &who("x")).await.unwrap();
    let out = UserChange { disabled: Some(true), ..UserChange::default() };
    ledger.change_user("bert", &out, &who("x")).await.unwrap();
    ledger.remove_user("carl", &who("x")).await.unwrap();
    for n in 1..=4 {
        assert_eq!(ledger.session(&secret(n)).await.unwrap(), None, "{n}");
    }
    assert!(matches!(log_in(ledger, 5, "bert").await, Err(AccountsError::Disabled(_))));
    assert!(matches!(log_in(ledger, 5, "carl").await, Err(AccountsError::NotFound(_))));
    // A login that began before the password was changed lets nobody in.
    let stale = ledger.open_session(&secret(5), "anna", Some("$argon2id$anna"), &who("anna")).await;
    assert!(matches!(stale, Err(AccountsError::NotFound(_))), "{stale:?}");
    ledger.open_session(&secret(5), "anna", Some("$argon2id$n"), &who("anna")).await.unwrap();
    ledger.end_session(&secret(5)).await.unwrap();
    assert_eq!(bench.one("SELECT count(*) FROM sessions").await, 0);
}

pub async fn sessions_are_bounded_and_old_ones_are_forgotten<L: Ledger + Accounts>(bench: Bench<L>) {
    bench.ledger.add_user(&person("anna", Role::Viewer), &who("x")).await.unwrap();
    for n in 0..=MAX_SESSIONS {
        log_in(&bench.ledger, n as u8, "anna").await.unwrap();
        bench.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(bench.one("SELECT count(*) FROM sessions").await, i64::from(MAX_SESSIONS));
    assert_eq!(bench.ledger.session(&secret(0)).await.unwrap(), None, "the one used longest ago made room");
    let tenth = NOON.plus(Duration::from_secs(10));
    assert_eq!(bench.ledger.forget_sessions(tenth, NOON).await.unwrap(), 9);
    assert_eq!(bench.ledger.forget_sessions(NOON, NOON.plus(Duration::from_secs(20))).await.unwrap(), 10);
    assert_eq!(bench.one("SELECT count(*) FROM sessions").await, i64::from(MAX_SESSIONS) - 19);
}

pub async fn tokens_come_back_until_they_are_revoked<L: Ledger + Accounts>(bench: Bench<L>) {
    let ledger = &bench.ledger;
    let new = NewToken { expires: Some(NOON), ..token("00aa", "ci") };
    let made = ledger.add_token(&new, &who("anna")).await.unwrap();
    assert_eq!((made.created_by.as_str(), made.created, made.expires), ("anna", NOON, Some(NOON)));
    assert_eq!(ledger.add_token(&new, &who("anna")).await.unwrap(), made, "the same call again");
    assert!(matches!(ledger.add_token(&token("00bb", "ci"), &who("anna")).await, Err(AccountsError::Exists(_))));
    ledger.use_token("00aa").await.unwrap();
    let (found, hash) = ledger.token("00aa").await.unwrap().unwrap();
    assert_eq!((found.last_used, hash), (Some(NOON), secret(7)));
    let next = NewToken { replaces: true, ..token("00cc", "ci") };
    ledger.add_token(&next, &who("anna")).await.unwrap();
    assert_eq!(ledger.token("00aa").await.unwrap(), None, "the one of this name made room");
    let ids: Vec<String> = ledger.tokens().await.unwrap().into_iter().map(|t| t.id).collect();
    assert_eq!(ids, ["00cc"]);
    ledger.remove_token("00cc", &who("anna")).await.unwrap();
    assert!(matches!(ledger.remove_token("00cc", &who("anna")).await, Err(AccountsError::NotFound(_))));
    ledger.note("login_failed", "user x", &who("anonymous")).await.unwrap();
    assert_eq!(actions(ledger).await, ["login_failed", "token_remove", "token_add", "token_add"]);
}
