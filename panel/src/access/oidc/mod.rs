//! Log in through an identity provider: OpenID Connect's code flow with PKCE, state and nonce.
//!
//! What belongs to one attempt (state, nonce, verifier) lies in a cookie of the browser that began
//! it, for ten minutes, so nothing is kept here that strangers could fill up, and any panel of a
//! fleet may take the browser back. That cookie is `SameSite=Lax`: the provider's redirect comes from
//! another site. Somebody is recognised by issuer and subject, never by name or mail address, which
//! a provider may give to another person; a name that a user has already is refused.
//!
//! Errors end on the pages, `/?login_error=CODE`, since a person is looking at them.

mod routes;

pub use routes::{begin, callback};

use super::cookie::build;
use super::secret;
use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite};
use futures::StreamExt;
use moka::future::Cache;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreResponseType,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AuthenticationFlow, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest as Asked, HttpResponse as Got,
    IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    StandardErrorResponse, StandardTokenResponse, TokenResponse, UserInfoClaims,
};
use penstock::accounts::{Role, check_name};
use penstock::settings::{OidcSettings, PanelSettings, SettingsError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// Carries one attempt.
const COOKIE: &str = "penstock_oidc";
const PATH: &str = "/api/v1/session/oidc";
/// How long an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(600);
/// How long the provider's document and keys are taken from memory: after new keys, so long at most.
const DISCOVERED: Duration = Duration::from_secs(60);
/// One question to the provider.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer of the provider.
const ANSWER: usize = 1 << 20;
/// Longest query string on the way back: codes of some providers have kilobytes.
const QUERY: usize = 16 << 10;

/// All claims that the standard does not name.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Others(Map<String, Value>);

impl AdditionalClaims for Others {}

type Fields = IdTokenFields<
    Others,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Provider = Client<
    Others,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Why somebody could not log in this way.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider says that it does not let them in, or they gave up.
    #[error("the identity provider refused: {0}")]
    Denied(String),
    /// The way there and back does not fit together, or the provider's answer does not hold.
    #[error("the login through the identity provider failed: {0}")]
    Failed(String),
    /// No claim gives them a role.
    #[error("no claim gives {0} a role")]
    NoRole(String),
    /// Their name belongs to somebody else here.
    #[error("the name {0} is taken")]
    NameTaken(String),
    /// They are locked out.
    #[error("{0} is disabled")]
    Disabled(String),
}

impl OidcError {
    /// What the pages are told.
    const fn code(&self) -> &'static str {
        match self {
            OidcError::Denied(_) => "oidc_denied",
            OidcError::Failed(_) => "oidc_failed",
            OidcError::NoRole(_) => "no_role",
            OidcError::NameTaken(_) => "name_taken",
            OidcError::Disabled(_) => "disabled",
        }
    }
}

fn failed(why: impl std::fmt::Display) -> OidcError {
    OidcError::Failed(why.to_string())
}

/// The provider, as the settings name it.
pub struct Oidc {
    settings: OidcSettings,
    issuer: IssuerUrl,
    secret: Option<ClientSecret>,
    redirect: RedirectUrl,
    http: reqwest::Client,
    discovered: Cache<(), Arc<CoreProviderMetadata>>,
}

impl Oidc {
    /// `None` when no provider is configured. Nothing is asked of it yet.
    ///
    /// Errors: a URL cannot be read, or the client's secret.
    pub fn new(settings: &PanelSettings) -> Result<Option<Oidc>, SettingsError> {
        let oidc = settings.oidc.clone();
        let (Some(issuer), Some(base)) = (&oidc.issuer, &settings.public_url) else { return Ok(None) };
        let bad = |key, value: &str, why: String| SettingsError::value(key, value, why);
        let parsed = IssuerUrl::new(issuer.clone()).map_err(|e| bad("panel.oidc.issuer", issuer, e.to_string()))?;
        let redirect = RedirectUrl::new(format!("{base}{PATH}/callback"))
            .map_err(|e| bad("panel.public_url", base, e.to_string()))?;
        let secret = oidc.client_secret.read("panel.oidc.client_secret")?.map(ClientSecret::new);
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // A redirect could lead the panel's own requests to where the provider's answers want them.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| bad("panel.oidc.issuer", issuer, e.to_string()))?;
        let discovered = Cache::builder().max_capacity(1).time_to_live(DISCOVERED).build();
        Ok(Some(Oidc { issuer: parsed, secret, redirect, http, discovered, settings: oidc }))
    }

    /// What stands on the button.
    pub fn label(&self) -> &str {
        &self.settings.label
    }

    async fn provider(&self) -> Result<Provider, OidcError> {
        let metadata = self
            .discovered
            .try_get_with((), async {
                let client = |asked| ask(self.http.clone(), asked);
                CoreProviderMetadata::discover_async(self.issuer.clone(), &client)
                    .await
                    .map(Arc::new)
                    .map_err(|e| failed(format!("{}: {}", self.issuer.as_str(), chain(&e))))
            })
            .await
            .map_err(|e| failed(e.to_string()))?;
        let id = ClientId::new(self.settings.client_id.clone());
        let client = Client::from_provider_metadata((*metadata).clone(), id, self.secret.clone());
        Ok(client.set_redirect_uri(self.redirect.clone()))
    }

    /// Where the browser goes, and what it has to bring back.
    async fn begin(&self) -> Result<(String, Attempt), OidcError> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let provider = self.provider().await?;
        let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
        let scopes = self.settings.scopes.iter().cloned().map(Scope::new);
        let (url, state, nonce) = provider
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .add_scopes(scopes)
            .set_pkce_challenge(challenge)
            .url();
        let attempt =
            Attempt { state: state.into_secret(), nonce: nonce.secret().clone(), verifier: verifier.into_secret() };
        Ok((url.to_string(), attempt))
    }

    /// Takes the code to the provider and reads who it is of.
    async fn finish(
        &self,
        code: String,
        attempt: Attempt,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<Person, OidcError> {
        let provider = self.provider().await?;
        let client = |asked| ask(self.http.clone(), asked);
        let answer = provider
            .exchange_code(AuthorizationCode::new(code))
            .map_err(failed)?
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier))
            .request_async(&client)
            .await
            .map_err(|e| failed(chain(&e)))?;
        let token = answer.id_token().ok_or_else(|| failed("the provider sent no ID token"))?;
        let verifier = provider.id_token_verifier().set_time_fn(move || now);
        let claims = token.claims(&verifier, &Nonce::new(attempt.nonce)).map_err(|e| failed(chain(&e)))?;
        let mut all = map(claims)?;
        // Some providers tell groups and names at the second address only.
        if !all.contains_key(&self.settings.role_claim)
            && let Ok(asked) = provider.user_info(answer.access_token().clone(), Some(claims.subject().clone()))
        {
            let more: UserInfoClaims<Others, CoreGenderClaim> =
                asked.request_async(&client).await.map_err(|e| failed(chain(&e)))?;
            for (key, value) in map(&more)? {
                all.entry(key).or_insert(value);
            }
        }
        let subject = format!("{}|{}", self.issuer.as_str(), claims.subject().as_str());
        if subject.chars().count() > 700 {
            return Err(failed("the subject is longer than 700 characters"));
        }
        Ok(Person { name: self.name(&all, &subject), role: self.role(&all), subject })
    }

    /// The highest role that the claims give.
    fn role(&self, claims: &Map<String, Value>) -> Option<Role> {
        let values: Vec<&str> = match claims.get(&self.settings.role_claim) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let given = values.iter().filter_map(|v| self.settings.roles.get(*v).copied()).max();
        given.or(self.settings.default_role)
    }

    /// A name that may be one here.
    fn name(&self, claims: &Map<String, Value>, subject: &str) -> String {
        let told = [self.settings.name_claim.as_str(), "email"].into_iter();
        let names = told.filter_map(|claim| claims.get(claim)?.as_str()).map(str::to_ascii_lowercase);
        let made = secret::hash(subject)[..8].iter().map(|b| format!("{b:02x}")).collect::<String>();
        names.into_iter().find(|name| check_name(name)).unwrap_or_else(|| format!("oidc-{made}"))
    }
}

fn map(claims: &impl Serialize) -> Result<Map<String, Value>, OidcError> {
    match serde_json::to_value(claims).map_err(failed)? {
        Value::Object(map) => Ok(map),
        _ => Err(failed("the claims are no object")),
    }
}

/// Who came back.
struct Person {
    name: String,
    role: Option<Role>,
    subject: String,
}

/// What belongs to one attempt.
struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
}

impl Attempt {
    fn cookie(&self, https: bool) -> Cookie<'static> {
        let value = format!("{}.{}.{}", self.state, self.nonce, self.verifier);
        build(COOKIE, value, ATTEMPT, https, SameSite::Lax, PATH)
    }

    fn of(request: &HttpRequest) -> Option<Attempt> {
        let cookie = request.cookie(COOKIE)?;
        let mut parts = cookie.value().split('.').map(str::to_owned);
        let attempt = Attempt { state: parts.next()?, nonce: parts.next()?, verifier: parts.next()? };
        let whole = [&attempt.state, &attempt.nonce, &attempt.verifier].iter().all(|p| (16..=128).contains(&p.len()));
        (whole && parts.next().is_none()).then_some(attempt)
    }
}

/// One request to the provider.
async fn ask(http: reqwest::Client, asked: Asked) -> Result<Got, Unreached> {
    let (parts, body) = asked.into_parts();
    let url = parts.uri.to_string();
    let answer = http.request(parts.method, url).headers(parts.headers).body(body).send().await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut stream = answer.bytes_stream();
    let mut body = Vec::new();
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk?);
        if body.len() > ANSWER {
            return Err(Unreached::TooLong);
        }
    }
    let mut got = Got::new(body);
    *got.status_mut() = status;
    *got.headers_mut() = headers;
    Ok(got)
}

#[derive(Debug, thiserror::Error)]
enum Unreached {
    #[error("the provider cannot be reached: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the provider's answer is longer than {ANSWER} bytes")]
    TooLong,
}

/// An error and what caused it, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
