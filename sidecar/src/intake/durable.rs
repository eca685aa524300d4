//! Waiting until what is written is as durable as its request asks for.

use super::refused::SHORTLY;
use super::request::Durability;
use super::worker::Worker;
use crate::http::problem::Problem;
use penstock::log::Offset;
use penstock::log::spool::{Disk, Watermarks};
use std::time::Duration;

impl<D: Disk> Worker<D> {
    /// Waits until what is written below `to` is as durable as asked for.
    pub(super) async fn durable(&self, durability: Durability, marks: &Watermarks, to: Offset) -> Result<(), Problem> {
        match (durability, self.intake().kafka_timeout) {
            (Durability::Os, _) => Ok(()),
            (Durability::Disk, _) | (Durability::Kafka, None) => self.synced(marks, to).await,
            (Durability::Kafka, Some(longest)) => self.replicated(marks, to, longest).await,
        }
    }

    async fn replicated(&self, marks: &Watermarks, to: Offset, longest: Duration) -> Result<(), Problem> {
        match tokio::time::timeout(longest, marks.wait_replicated(to)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failed)) => Err(sync_failed(&failed)),
            Err(_) => {
                let detail = "Kafka did not acknowledge in time: what was sent is kept and will be forwarded; repeat \
                              it only with the same Idempotency-Key";
                Err(Problem::unavailable("kafka_timeout", detail, SHORTLY))
            }
        }
    }

    async fn synced(&self, marks: &Watermarks, to: Offset) -> Result<(), Problem> {
        match tokio::time::timeout(self.intake().sync_timeout, marks.wait_synced(to)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failed)) => Err(sync_failed(&failed)),
            Err(_) => {
                let detail =
                    "the device did not sync in time: what was sent is written, but may not survive a power cut";
                Err(Problem::unavailable("sync_timeout", detail, SHORTLY))
            }
        }
    }
}

fn sync_failed(failed: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%failed, "a sync failed; the request's durability is unknown");
    let detail = "the device refused the sync: what was sent is written, but may not survive a power cut";
    Problem::unavailable("sync_failed", detail, SHORTLY)
}
