//! Where the roles put records that a sink cannot take: the topic `kafka.dead_topic`.

use penstock_panel::api::types::{DeadLetter, DeadSummary};
use penstock_panel::reconcile::{Later, Mark, MarkSource};
use penstock_panel::{DeadFilter, DeadKey, DeadStore};

/// The letters as the panel shows them; there is no topic of them yet.
pub struct View;

impl MarkSource for View {
    fn marks(&self) -> Later<'_, Vec<Mark>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

impl DeadStore for View {
    fn summary(&self) -> Later<'_, DeadSummary> {
        Box::pin(async { Ok(DeadSummary::default()) })
    }

    fn list<'a>(&'a self, _filter: &'a DeadFilter) -> Later<'a, Vec<DeadLetter>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn show<'a>(&'a self, _key: &'a DeadKey) -> Later<'a, Option<DeadLetter>> {
        Box::pin(async { Ok(None) })
    }
}
