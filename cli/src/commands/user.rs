//! `penstock user`: who may log in to the panel.

use crate::args::PanelArgs;
use crate::exit::{Verdict, WrongUsage};
use crate::output::{self, table};
use crate::panel_api::Panel;
use anyhow::Context;
use clap::{Args, Subcommand};
use penstock_panel::access::one_time_password;
use penstock_panel::access::users::User;
use penstock_panel::api::types::{Answer, Page};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Read;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct UserArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List who may log in
    #[command(after_help = "Example: penstock user list")]
    List {
        /// Print as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        panel: PanelArgs,
    },
    /// Add somebody
    #[command(
        after_help = "Example: penstock user add anna --role operator\n\nWithout --password-file a one-time password is made and printed; it has to be changed at the first login."
    )]
    Add {
        /// 1 to 64 of a-z, 0-9 and . _ @ -
        name: String,
        #[command(flatten)]
        role: RoleArg,
        #[command(flatten)]
        password: PasswordArg,
        #[command(flatten)]
        panel: PanelArgs,
    },
    /// Set somebody's password, which ends their sessions
    #[command(after_help = "Example: penstock user password anna")]
    Password {
        /// Who
        name: String,
        #[command(flatten)]
        password: PasswordArg,
        #[command(flatten)]
        panel: PanelArgs,
    },
    /// Give somebody another role
    #[command(after_help = "Example: penstock user role anna --role viewer")]
    Role {
        /// Who
        name: String,
        #[command(flatten)]
        role: RoleArg,
        #[command(flatten)]
        panel: PanelArgs,
    },
    /// Lock somebody out, at once
    #[command(after_help = "Example: penstock user disable anna")]
    Disable(One),
    /// Let somebody in again
    #[command(after_help = "Example: penstock user enable anna")]
    Enable(One),
    /// Take somebody away
    #[command(after_help = "Example: penstock user remove anna")]
    Remove(One),
}

#[derive(Debug, Args)]
struct One {
    /// Who
    name: String,
    #[command(flatten)]
    panel: PanelArgs,
}

/// What somebody or something may do.
#[derive(Debug, Args)]
pub struct RoleArg {
    /// viewer: look; operator: also stop, resume, budgets, replay; admin: everything
    #[arg(long, value_name = "ROLE", value_parser = ["viewer", "operator", "admin"])]
    pub role: String,
}

#[derive(Debug, Args)]
struct PasswordArg {
    /// File that holds the password (- for standard input), at least 12 characters
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

pub async fn run(args: UserArgs) -> anyhow::Result<Verdict> {
    match args.action {
        Action::List { json, panel } => list(json, &panel).await?,
        Action::Add { name, role, password, panel } => {
            let (text, made) = password.read()?;
            let body = json!({"name": name, "role": role.role, "password": text, "must_change_password": made});
            send(&panel, Method::POST, "/api/v1/users", &body).await?;
            told(&format!("{name} may log in as {}", role.role), made.then_some(&text))?;
        }
        Action::Password { name, password, panel } => {
            let (text, made) = password.read()?;
            let body = json!({"password": text, "must_change_password": made});
            change(&panel, &name, &body).await?;
            told(&format!("{name} has a new password"), made.then_some(&text))?;
        }
        Action::Role { name, role, panel } => {
            change(&panel, &name, &json!({"role": role.role})).await?;
            output::line(format_args!("{name} is {} now", role.role))?;
        }
        Action::Disable(One { name, panel }) => {
            change(&panel, &name, &json!({"disabled": true})).await?;
            output::line(format_args!("{name} is locked out"))?;
        }
        Action::Enable(One { name, panel }) => {
            change(&panel, &name, &json!({"disabled": false})).await?;
            output::line(format_args!("{name} may log in again"))?;
        }
        Action::Remove(One { name, panel }) => {
            let path = path(&name)?;
            let panel = Panel::ready(&panel).await?;
            let _: Value = panel.ask(Method::DELETE, &path, None::<&()>, Panel::SOON).await?;
            output::line(format_args!("{name} is removed"))?;
        }
    }
    Ok(Verdict::Good)
}

impl PasswordArg {
    /// The password, and whether it was made here.
    fn read(&self) -> anyhow::Result<(String, bool)> {
        let text = match &self.password_file {
            None => return Ok((one_time_password()?, true)),
            Some(file) if file.as_os_str() == "-" => {
                let mut text = String::new();
                std::io::stdin().take(4_096).read_to_string(&mut text).context("cannot read the standard input")?;
                text
            }
            Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?,
        };
        Ok((text.trim_end_matches(['\r', '\n']).to_owned(), false))
    }
}

async fn list(as_json: bool, panel: &PanelArgs) -> anyhow::Result<()> {
    let page: Page<User> = Panel::ready(panel).await?.get("/api/v1/users").await?;
    if as_json {
        return output::json(&page.result);
    }
    let mut rows = table(&["name", "role", "logs in by", "state", "last login"]);
    for user in page.result {
        let state = match (user.disabled, user.must_change_password) {
            (true, _) => "locked out",
            (false, true) => "must change the password",
            (false, false) => "",
        };
        let last = user.last_login.map(|t| t.to_string()).unwrap_or_default();
        rows.add_row([user.name.as_str(), user.role.name(), user.via.name(), state, last.as_str()]);
    }
    output::line(rows)
}

async fn change(panel: &PanelArgs, name: &str, body: &Value) -> anyhow::Result<()> {
    let path = path(name)?;
    send(panel, Method::PUT, &path, body).await
}

async fn send(panel: &PanelArgs, method: Method, path: &str, body: &Value) -> anyhow::Result<()> {
    let _: Answer<User> = Panel::ready(panel).await?.ask(method, path, Some(body), Panel::SOON).await?;
    Ok(())
}

/// A name goes into the path, so it must be one.
fn path(name: &str) -> anyhow::Result<String> {
    if penstock::accounts::check_name(name) {
        return Ok(format!("/api/v1/users/{name}"));
    }
    Err(WrongUsage(format!("{name} can be nobody's name: 1 to 64 of a-z, 0-9 and . _ @ -")).into())
}

fn told(what: &str, made: Option<&String>) -> anyhow::Result<()> {
    match made {
        Some(password) => output::line(format_args!(
            "{what}; one-time password {password} (shown only now, to be changed at the first login)"
        )),
        None => output::line(what),
    }
}
