//! Registers our schemas, with their compatibility level, until the registry has them all.

use super::client::nonsense;
use super::{Registry, RegistryError, fingerprint_of, subject};
use crate::codec::registry::{WriterSchema, writers};
use crate::event::TYPES;
use crate::settings::{Compatibility, KafkaSettings, RegistrySettings};
use apache_avro::Schema;
use tokio_util::sync::CancellationToken;

/// After a complaint, so many further attempts are silent.
const SILENT: u32 = 12;

pub(super) async fn run(registry: Registry, settings: RegistrySettings, kafka: KafkaSettings, stop: CancellationToken) {
    let mut attempt = 0;
    let all = async {
        while let Err(error) = all(&registry, &settings, &kafka).await {
            if attempt % SILENT == 0 {
                tracing::warn!(%error, "our schemas are not all registered; trying again every registry.retry");
            }
            attempt += 1;
            tokio::time::sleep(settings.retry).await;
        }
        tracing::info!("our schemas are registered, their compatibility level is checked");
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = all => {}
    }
}

/// Registers every type; one that fails does not keep the others. Errors: the first one.
async fn all(registry: &Registry, settings: &RegistrySettings, kafka: &KafkaSettings) -> Result<(), RegistryError> {
    let mut result = Ok(());
    for kind in TYPES {
        let versions: Vec<_> = writers().iter().filter(|w| w.kind == *kind).collect();
        result = result.and(one(registry, settings, &kafka.topic_of(kind.name), &versions).await);
    }
    result
}

/// Registers the versions of one type's schema in order, the oldest first.
async fn one(
    registry: &Registry,
    settings: &RegistrySettings,
    topic: &str,
    versions: &[&'static WriterSchema],
) -> Result<(), RegistryError> {
    let Some(first) = versions.first() else { return Ok(()) };
    let subject = subject(topic, &record_name(first));
    let client = &registry.0.client;
    // A subject that is there gets its level before anything is added to it.
    if settings.register && client.level(&subject).await?.as_deref() != Some(settings.compatibility.name()) {
        client.set_level(&subject, settings.compatibility.name()).await?;
    }
    let mut level = Ok(());
    for (i, version) in versions.iter().enumerate() {
        let id = match settings.register {
            true => client.register(&subject, version.json).await?,
            false => client.find(&subject, version.json).await?,
        };
        // Records under a wrong id would be lost to every reader but us: ask for the id's schema
        // before the first one is written.
        let there = client.schema(id).await?.map(|(text, avro)| fingerprint_of(&text, avro));
        if there != Some(version.fingerprint) {
            return Err(nonsense("", format!("{subject} got id {id}, which is another schema")));
        }
        registry
            .learned(|ids| ids.register(id, version.fingerprint))
            .map_err(|conflict| nonsense("", format!("{subject}: {conflict}; was its content lost?")))?;
        if i == 0 {
            // It guards later versions; these are fully compatible, our tests hold that.
            level = check_level(registry, settings, &subject).await;
        }
    }
    level
}

/// A new subject has its level only now.
async fn check_level(registry: &Registry, settings: &RegistrySettings, subject: &str) -> Result<(), RegistryError> {
    let (client, wanted) = (&registry.0.client, settings.compatibility.name());
    let mut level = client.level(subject).await?;
    if settings.register && level.as_deref() != Some(wanted) {
        client.set_level(subject, wanted).await?;
        level = client.level(subject).await?;
    }
    let level = level.unwrap_or_else(|| Compatibility::None.name().to_owned());
    if level == wanted {
        return Ok(());
    }
    if settings.register {
        return Err(nonsense("", format!("{subject} keeps compatibility level {level}, {wanted} is configured")));
    }
    tracing::warn!(subject, level, wanted, "the subject has another compatibility level than is configured");
    Ok(())
}

/// The full name of the record that a schema describes; the registry of schemas has parsed it.
fn record_name(schema: &WriterSchema) -> String {
    let name = match Schema::parse_str(schema.json) {
        Ok(Schema::Record(record)) => Some(record.name.fullname(None).to_string()),
        _ => None,
    };
    name.unwrap_or_else(|| schema.kind.name.to_owned())
}
