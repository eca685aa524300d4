//! Metrics and logs. One file a component declares its metrics; there is no global recorder.

pub mod archive;
pub mod balances;
pub mod engine;
pub mod forward;
pub mod kafka_log;
pub mod panel;
pub mod pipeline;
pub mod registry;
pub mod role;
pub mod sidecar;
pub mod spool;
pub mod statistics;

pub use archive::ArchiveMetrics;
pub use balances::BalancesMetrics;
pub use engine::{EngineMetrics, EngineSupervisorMetrics};
pub use forward::ForwardMetrics;
pub use kafka_log::KafkaLogMetrics;
pub use panel::PanelMetrics;
pub use pipeline::PipelineMetrics;
pub use registry::RegistryMetrics;
pub use sidecar::SidecarMetrics;
pub use spool::{SpoolCounters, SpoolMetrics};
pub use statistics::StatisticsMetrics;

use prometheus_client::registry::Registry;
use std::sync::{Arc, PoisonError, RwLock};

/// One process's metrics: each component registers its own at start, `/metrics` encodes them all.
#[derive(Clone, Debug, Default)]
pub struct SharedRegistry(Arc<RwLock<Registry>>);

impl SharedRegistry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a component: `registry.with(SidecarMetrics::register)`.
    pub fn with<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Everything registered, in the OpenMetrics text format that Prometheus scrapes.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(16 << 10);
        let registry = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // Writing into a String cannot fail; a collector that fails leaves a cut text, which the
        // scraper refuses because `# EOF` is missing.
        if prometheus_client::encoding::text::encode(&mut out, &registry).is_err() {
            tracing::error!("a collector failed to encode its metrics");
        }
        out
    }
}

#[cfg(test)]
mod tests;
