//! What is counted of the dealings with the schema registry.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How a question ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct AskedLabel {
    /// `ok`, `away`, `refused` (an answer of 4xx, "there is no such schema" among them), `nonsense`.
    pub outcome: &'static str,
}

/// The metrics; clones share the same numbers.
#[derive(Clone, Debug, Default)]
pub struct RegistryMetrics {
    /// `penstock_schema_registry_requests_total{outcome}`: questions, one a URL that was asked.
    pub requests: Family<AskedLabel, Counter>,
    /// `penstock_schema_registry_unregistered`: schemas of ours whose id is not known; forwarders wait for them.
    pub unregistered: Gauge,
    /// `penstock_schema_registry_lookups_total`: ids in records that had to be asked for.
    pub lookups: Counter,
    /// `penstock_schema_registry_conflicts_total`: answers that an id is another schema than before.
    pub conflicts: Counter,
}

impl RegistryMetrics {
    /// Declares the metrics in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = RegistryMetrics::default();
        let r = registry.sub_registry_with_prefix("penstock_schema_registry");
        r.register("requests", "Questions to the schema registry, by outcome", metrics.requests.clone());
        r.register("unregistered", "Schemas of ours whose id is not known", metrics.unregistered.clone());
        r.register("lookups", "Ids in records that had to be asked for", metrics.lookups.clone());
        r.register("conflicts", "Answers that an id is another schema than before", metrics.conflicts.clone());
        metrics
    }

    #[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "only a fleet has a registry"))]
    pub(crate) fn asked(&self, outcome: &'static str) {
        self.requests.get_or_create(&AskedLabel { outcome }).inc();
    }
}
