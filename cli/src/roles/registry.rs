//! The schema registry, when one is configured.

use super::process::Role;
use anyhow::Context;
use penstock::registry::{Lookup, Registry};
use penstock::telemetry::RegistryMetrics;
use std::path::Path;

/// File of the ids that are known, in the role's folder.
const IDS: &str = "schema-ids.json";

/// Starts to register our schemas in the background; `None` when no registry is configured.
///
/// Errors: a secret or a file of the configuration cannot be read.
pub fn start(role: &Role, folder: &Path) -> anyhow::Result<Option<Registry>> {
    let (settings, kafka) = (&role.settings.registry, &role.settings.kafka);
    if !settings.is_configured() {
        return Ok(None);
    }
    let metrics = role.registry.with(RegistryMetrics::register);
    let registry = Registry::start(settings, kafka, Some(folder.join(IDS)), metrics, role.stop.clone());
    Ok(Some(registry.context("the schema registry cannot be used")?))
}

/// Asks for ids and registers nothing; `None` when no registry is configured.
///
/// Errors: a secret or a file of the configuration cannot be read.
pub fn lookup(role: &Role) -> anyhow::Result<Option<Lookup>> {
    let settings = &role.settings.registry;
    if !settings.is_configured() {
        return Ok(None);
    }
    let lookup = Lookup::new(settings, role.registry.with(RegistryMetrics::register));
    Ok(Some(lookup.context("the schema registry cannot be used")?))
}
