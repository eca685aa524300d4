//! What becomes of a message on its way into [`Records`]: framing, barriers, times, repeats.

use super::raw::Raw;
use crate::codec::{confluent, frame};
use crate::kafka::Key;
use crate::log::{Offset, Records};
use crate::registry::SchemaIds;
use crate::telemetry::kafka_log::OneLog;
use crate::time::{Clock, Micros};
use std::collections::HashMap;

/// Most spool partitions whose sequences are remembered, a Kafka partition; beyond, the memory
/// begins anew, and a repeat across that moment goes unseen.
const SPOOLS: usize = 65_536;

/// Copies one message. `None`: its schema id is unknown here and has to be looked up first.
pub(super) fn message<R: SchemaIds>(
    raw: &Raw,
    offset: Offset,
    registry: Option<&R>,
    clock: &dyn Clock,
    out: &mut Records,
) -> Result<(), Unknown> {
    let appended = appended(raw, clock);
    let body = raw.payload().unwrap_or_default();
    if body.is_empty() && matches!(raw.key().and_then(Key::parse), Some(Key::Barrier { .. })) {
        out.push(offset, appended, &frame::BARRIER);
        return Ok(());
    }
    let (Some(registry), Some((id, datum))) = (registry, confluent::split(body)) else {
        out.push(offset, appended, body);
        return Ok(());
    };
    match registry.known(id) {
        Some(fingerprint) => out.push_parts(offset, appended, &confluent::single_header(fingerprint), datum),
        None => return Err(Unknown(id)),
    }
    Ok(())
}

/// A schema id that is not known here yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown(pub u32);

/// Copies a message of whose schema id the registry has said what it is: a fingerprint (perhaps
/// nobody's, and then the record is poison as `unknown_schema`), or that there is none (`bad_frame`).
pub(super) fn looked_up(raw: &Raw, offset: Offset, fingerprint: Option<u64>, clock: &dyn Clock, out: &mut Records) {
    let (appended, body) = (appended(raw, clock), raw.payload().unwrap_or_default());
    match (fingerprint, confluent::split(body)) {
        (Some(fingerprint), Some((_, datum))) => {
            out.push_parts(offset, appended, &confluent::single_header(fingerprint), datum);
        }
        _ => out.push(offset, appended, body),
    }
}

/// When the record was appended, for lag and for the wait for a catalogue that is complete.
///
/// The time is the sidecar's own: its producer stamps a message when it is enqueued, which is after
/// the event was received by the same clock, and so never before `received`, which prices look at.
/// Kafka keeps milliseconds, so the end of the millisecond is taken. A message without a time (none
/// of ours) gets the present one, which is later than any.
fn appended(raw: &Raw, clock: &dyn Clock) -> Micros {
    match raw.timestamp_ms().and_then(|ms| ms.checked_mul(1_000)) {
        Some(micros) => Micros(micros.saturating_add(999)),
        None => clock.now(),
    }
}

/// Sees whether a sidecar's record comes twice.
///
/// The forwarder sends the records of a spool partition in their order, and what it sends again
/// after an unclean stop is what its barriers have shown to be missing: a tail. So in one Kafka
/// partition the sequences of one spool ascend, and one that does not is a repeat (its event is
/// counted twice) and a fault of the forwarder or of the brokers.
#[derive(Debug, Default)]
pub(super) struct Monitor {
    highest: HashMap<u64, Offset>,
    /// Messages before it have been looked at; a log is read again from a pin after each restart.
    seen: Offset,
}

impl Monitor {
    pub fn look(&mut self, raw: &Raw, offset: Offset, log: &OneLog) {
        if offset < self.seen {
            return;
        }
        self.seen = offset + 1;
        let Some(Key::Record { spool, sequence }) = raw.key().and_then(Key::parse) else { return };
        if self.repeats(spool, sequence) {
            log.repeated(spool, sequence, offset);
        }
    }

    fn repeats(&mut self, spool: u64, sequence: Offset) -> bool {
        if self.highest.len() >= SPOOLS && !self.highest.contains_key(&spool) {
            self.highest.clear();
        }
        match self.highest.get_mut(&spool) {
            Some(highest) if *highest >= sequence => return true,
            Some(highest) => *highest = sequence,
            None => drop(self.highest.insert(spool, sequence)),
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_of_a_spool_that_comes_again_is_seen_and_another_spools_is_not() {
        let mut monitor = Monitor::default();
        let seen = [(1, 5), (2, 5), (1, 6), (1, 6), (2, 4), (1, 9)].map(|(s, n)| monitor.repeats(s, n));
        assert_eq!(seen, [false, false, false, true, true, false]);
    }
}
