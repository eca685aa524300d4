//! Stands in for [`oidc`](super) in builds without the feature `cluster`: nobody logs in that way.

use crate::api::Outcome;
use crate::api::problem::{Code, Problem};
use penstock::settings::{PanelSettings, SettingsError};

/// There is none.
pub enum Oidc {}

impl Oidc {
    /// Errors: one is configured.
    pub fn new(settings: &PanelSettings) -> Result<Option<Oidc>, SettingsError> {
        match &settings.oidc.issuer {
            None => Ok(None),
            Some(issuer) => {
                let rule = "this penstock was built without the feature `cluster`, which identity providers need";
                Err(SettingsError::value("panel.oidc.issuer", issuer, rule))
            }
        }
    }

    /// Never called.
    pub fn label(&self) -> &str {
        match *self {}
    }
}

/// `GET /api/v1/session/oidc`.
pub async fn begin() -> Outcome {
    Err(Problem::new(Code::NotFound, "no identity provider is configured, nor does this build know any"))
}

/// `GET /api/v1/session/oidc/callback`.
pub async fn callback() -> Outcome {
    begin().await
}
