//! Whether a role can do its work: what its `/readyz` answers, as a gauge.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;

/// Asked at each scrape; must return at once.
struct Ready(Box<dyn Fn() -> bool + Send + Sync>);

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ready")
    }
}

impl Collector for Ready {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gauge = ConstGauge::new(i64::from((self.0)()));
        let help = "1 when the role waits for nothing";
        let encoder = encoder.encode_descriptor("penstock_role_ready", help, None, gauge.metric_type())?;
        gauge.encode(encoder)
    }
}

/// Declares `penstock_role_ready` in `registry`: 1 when `ready` says so.
pub fn register(registry: &mut Registry, ready: impl Fn() -> bool + Send + Sync + 'static) {
    registry.register_collector(Box::new(Ready(Box::new(ready))));
}
