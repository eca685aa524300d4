//! `penstock token`: what programs come in to the panel with.

use crate::args::PanelArgs;
use crate::commands::user::RoleArg;
use crate::exit::Verdict;
use crate::output::{self, table};
use crate::panel_api::Panel;
use anyhow::bail;
use clap::{Args, Subcommand};
use penstock::time::{Clock, SystemClock};
use penstock_panel::access::tokens::{MadeToken, Token};
use penstock_panel::api::types::{Answer, Page};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List tokens, without their secrets
    #[command(after_help = "Example: penstock token list")]
    List {
        /// Print as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        panel: PanelArgs,
    },
    /// Make one and print it; nobody can see it again
    #[command(after_help = "Example: penstock token create grafana --role viewer --expires-in 90d > grafana.token")]
    Create {
        /// What it is for: 1 to 64 of a-z, 0-9 and . _ @ -
        name: String,
        #[command(flatten)]
        role: RoleArg,
        /// Void after this time; without it, when it is revoked
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        expires_in: Option<Duration>,
        /// Print as JSON, with the id
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        panel: PanelArgs,
    },
    /// Make one void, at once
    #[command(after_help = "Example: penstock token revoke grafana")]
    Revoke {
        /// Its name or its id
        token: String,
        #[command(flatten)]
        panel: PanelArgs,
    },
}

pub async fn run(args: TokenArgs) -> anyhow::Result<Verdict> {
    match args.action {
        Action::List { json, panel } => list(json, &panel).await?,
        Action::Create { name, role, expires_in, json, panel } => {
            let expires = expires_in.map(|d| SystemClock.now().plus(d).to_string());
            let body = json!({"name": name, "role": role.role, "expires": expires});
            let panel = Panel::ready(&panel).await?;
            let made: Answer<MadeToken> = panel.ask(Method::POST, "/api/v1/tokens", Some(&body), Panel::SOON).await?;
            if json {
                output::json(&made.result)?;
            } else {
                output::line(&made.result.token)?;
            }
        }
        Action::Revoke { token, panel } => {
            let panel = Panel::ready(&panel).await?;
            let all: Page<Token> = panel.get("/api/v1/tokens").await?;
            let Some(found) = all.result.into_iter().find(|t| t.name == token || t.id == token) else {
                bail!("there is no token {token}; `penstock token list` shows all");
            };
            let path = format!("/api/v1/tokens/{}", found.id);
            let _: Value = panel.ask(Method::DELETE, &path, None::<&()>, Panel::SOON).await?;
            output::line(format_args!("{} is void", found.name))?;
        }
    }
    Ok(Verdict::Good)
}

async fn list(as_json: bool, panel: &PanelArgs) -> anyhow::Result<()> {
    let page: Page<Token> = Panel::ready(panel).await?.get("/api/v1/tokens").await?;
    if as_json {
        return output::json(&page.result);
    }
    let mut rows = table(&["name", "id", "role", "made by", "expires", "last used"]);
    for token in page.result {
        let expires = token.expires.map_or_else(|| "never".to_owned(), |t| t.to_string());
        let used = token.last_used.map(|t| t.to_string()).unwrap_or_default();
        let cells = [&token.name, &token.id, token.role.name(), &token.created_by, &expires, &used];
        rows.add_row(cells);
    }
    output::line(rows)
}
