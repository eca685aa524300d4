//! A worker thread's partition of the spool: the first that no other thread writes to.

use super::refused::SHORTLY;
use crate::http::problem::Problem;
use penstock::log::spool::{Disk, HandleError, Spool, Watermarks, Writer};
use std::sync::Arc;

/// The partition that a worker writes to.
pub(super) struct Claimed<D: Disk> {
    pub(super) writer: Writer<D>,
    pub(super) marks: Arc<Watermarks>,
    pub(super) partition: u32,
}

/// Takes the first free partition from `next` on.
pub(super) fn claim<D: Disk>(spool: &Spool<D>, next: &mut u32) -> Result<Claimed<D>, Problem> {
    let partitions = spool.partitions();
    let count = partitions.len();
    let start = usize::try_from(*next).unwrap_or(0) % count.max(1);
    for &partition in partitions.iter().cycle().skip(start).take(count) {
        match spool.writer(partition) {
            Ok(writer) => {
                let marks = writer.watermarks();
                if marks.failure().is_none() {
                    *next = partition + 1;
                    tracing::debug!(partition, "claimed a spool partition");
                    return Ok(Claimed { writer, marks, partition });
                }
            }
            Err(HandleError::Taken(_)) => {}
            Err(error) => tracing::error!(%error, partition, "a spool partition cannot be claimed"),
        }
    }
    let detail = "no partition of the spool is free for this worker; see /readyz";
    Err(Problem::unavailable("spool_unavailable", detail, SHORTLY))
}
