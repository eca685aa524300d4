//! The panel's API as the commands use it: wait until it is ready, ask, turn a problem into a
//! sentence.

use crate::args::PanelArgs;
use crate::parts::data_dir::panel_token;
use anyhow::{Context, anyhow, bail};
use penstock_panel::api::types::ProblemBody;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// A panel that has said that it is ready.
pub struct Panel {
    http: reqwest::Client,
    base: reqwest::Url,
}

const POLL: Duration = Duration::from_millis(100);

impl Panel {
    /// Waits until the panel is ready. Errors: a wrong address, or the reason it is not ready.
    pub async fn ready(args: &PanelArgs) -> anyhow::Result<Panel> {
        let base = base_url(&args.panel, "--panel", "http://127.0.0.1:7080")?;
        let mut headers = HeaderMap::new();
        if let Some(token) = token(args, &base)? {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).context("that is no panel's token")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers)
            .build()?;
        wait_until_ready(&http, &base, "the panel", args.ready_timeout).await?;
        Ok(Panel { http, base })
    }

    /// Longest time for what takes none.
    pub const SOON: Duration = Duration::from_secs(60);

    /// `GET path`. Errors: one sentence with the panel's own reason.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask(Method::GET, path, None::<&()>, Duration::from_secs(60)).await
    }

    /// `GET path`, as the bytes that came. Errors: as [`Panel::get`].
    pub async fn get_bytes(&self, path: &str) -> anyhow::Result<bytes::Bytes> {
        let request = self.http.get(self.url(path)?).timeout(Duration::from_secs(60));
        Ok(accepted(request.send().await.with_context(|| self.unreachable())?).await?.bytes().await?)
    }

    /// `method path` with a JSON body. Errors: as [`Panel::get`].
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        timeout: Duration,
    ) -> anyhow::Result<T> {
        let mut request = self.http.request(method, self.url(path)?).timeout(timeout);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = accepted(request.send().await.with_context(|| self.unreachable())?).await?;
        response.json().await.context("the panel's answer is not of this version")
    }

    /// `PUT path` with a body that is JSON already. Errors: as [`Panel::get`].
    pub async fn put_bytes<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> anyhow::Result<T> {
        let request = self.http.put(self.url(path)?).header("content-type", "application/json").body(body);
        let response = request.timeout(Duration::from_secs(120)).send().await.with_context(|| self.unreachable())?;
        accepted(response).await?.json().await.context("the panel's answer is not of this version")
    }

    fn url(&self, path: &str) -> anyhow::Result<reqwest::Url> {
        self.base.join(path).with_context(|| format!("{path} is no path"))
    }

    fn unreachable(&self) -> String {
        format!("the panel at {} does not answer any more", self.base)
    }
}

/// What lets us in: as given, else what a `penstock up` on this machine has left for its commands.
/// That one is for this machine alone, so it never leaves it.
fn token(args: &PanelArgs, base: &reqwest::Url) -> anyhow::Result<Option<String>> {
    let read = |file: &Path| std::fs::read_to_string(file).map(|text| text.trim().to_owned());
    if let Some(file) = &args.panel_token_file {
        return read(file).map(Some).with_context(|| format!("cannot read the token in {}", file.display()));
    }
    if let Some(token) = &args.panel_token {
        return Ok(Some(token.trim().to_owned()));
    }
    if !is_here(base) {
        return Ok(None);
    }
    let folder = args.data.clone().unwrap_or_else(|| PathBuf::from("data"));
    Ok(read(&panel_token(&folder)).ok())
}

/// Whether an address is this machine's own.
fn is_here(base: &reqwest::Url) -> bool {
    let host = base.host_str().unwrap_or("");
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

async fn accepted(response: Response) -> anyhow::Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.bytes().await.unwrap_or_default();
    Err(refusal(status, &body))
}

/// The problem's sentence, and below it what is wrong one by one when the panel lists it.
fn refusal(status: StatusCode, body: &[u8]) -> anyhow::Error {
    #[derive(serde::Deserialize)]
    struct Listed {
        #[serde(flatten)]
        problem: ProblemBody,
        #[serde(default)]
        errors: Vec<serde_json::Value>,
    }
    let Ok(Listed { problem, errors }) = serde_json::from_slice::<Listed>(body) else {
        return anyhow!("the panel answered {status}: {}", String::from_utf8_lossy(&body[..body.len().min(300)]));
    };
    let mut text = problem.detail;
    if status == StatusCode::UNAUTHORIZED {
        "the panel asks for a login: give a token with --panel-token-file or PENSTOCK_PANEL_TOKEN, or --data with the folder of a `penstock up` on this machine"
            .clone_into(&mut text);
    }
    for error in errors {
        let line = match &error {
            serde_json::Value::String(line) => line.clone(),
            other => other.to_string(),
        };
        text.push_str("\n  ");
        text.push_str(&line);
    }
    anyhow!(text)
}

/// Parses an address that a flag gave. Errors: [`crate::exit::WrongUsage`].
pub fn base_url(given: &str, flag: &str, example: &str) -> anyhow::Result<reqwest::Url> {
    let parsed = reqwest::Url::parse(given).ok().filter(|url| url.scheme() == "http" && url.has_host());
    parsed.ok_or_else(|| {
        crate::exit::WrongUsage(format!("{flag} {given} is not an address; give one like {example}")).into()
    })
}

/// Asks `/readyz` until it says yes. Errors: the last reason, when `timeout` has passed.
pub async fn wait_until_ready(
    http: &reqwest::Client,
    base: &reqwest::Url,
    who: &str,
    timeout: Duration,
) -> anyhow::Result<()> {
    let url = base.join("/readyz").context("no such path")?;
    let deadline = Instant::now() + timeout;
    loop {
        let asked = http.get(url.clone()).timeout(Duration::from_secs(5)).send().await;
        let why = match asked {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => {
                let status = answer.status();
                format!("it says {status} {}", answer.text().await.unwrap_or_default().trim())
            }
            Err(e) if e.is_builder() => bail!("{base} is not an address; give one like http://127.0.0.1:7080"),
            Err(_) => "nobody answers there".to_owned(),
        };
        if Instant::now() + POLL > deadline {
            bail!("{who} at {base} is not ready after {timeout:?} ({why}); start it with `penstock up`");
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_data_folder_never_leaves_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(panel_token(folder.path()), "pst_here\n").unwrap();
        let file = folder.path().join("other");
        std::fs::write(&file, "pst_file\n").unwrap();
        let args = |given: Option<&str>, file: Option<&Path>| PanelArgs {
            panel: String::new(),
            panel_token: given.map(str::to_owned),
            panel_token_file: file.map(Path::to_owned),
            data: Some(folder.path().to_owned()),
            ready_timeout: Duration::ZERO,
        };
        let asked = |args: &PanelArgs, url: &str| token(args, &reqwest::Url::parse(url).unwrap()).unwrap();
        for url in ["http://127.0.0.1:7080", "http://localhost:7080", "http://[::1]:7080"] {
            assert_eq!(asked(&args(None, None), url).as_deref(), Some("pst_here"), "{url}");
        }
        for url in ["http://10.0.0.1:7080", "http://localhost.evil.example", "http://ads.example"] {
            assert_eq!(asked(&args(None, None), url), None, "{url}");
            assert_eq!(asked(&args(Some("pst_given"), None), url).as_deref(), Some("pst_given"), "{url}");
        }
        assert_eq!(asked(&args(Some("pst_given"), Some(&file)), "http://ads.example").as_deref(), Some("pst_file"));
        let missing = folder.path().join("missing");
        assert!(token(&args(None, Some(&missing)), &reqwest::Url::parse("http://[::1]").unwrap()).is_err());
    }
}
