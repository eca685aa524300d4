//! What intake has counted, read back from the OpenMetrics text of a role's `/metrics`.
//!
//! The same text is there on both profiles: of this process from its own registry, of other roles
//! over HTTP. Lines that are not wanted, or not understood, are passed over.

use std::collections::BTreeMap;

/// Event types that are told apart; what a role of another version counts besides is left out.
const MOST_TYPES: usize = 32;
/// Buckets of one histogram that are kept.
const MOST_BUCKETS: usize = 64;

/// A histogram's cumulative counts by upper bound, in microseconds; the last is infinite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets(BTreeMap<u64, u64>);

/// Counters of one or more sidecars.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Acknowledged events by type.
    pub accepted: BTreeMap<String, u64>,
    /// Events that were refused.
    pub rejected: u64,
    /// From a request's head to its acknowledgement.
    pub ack: Buckets,
    /// From the receipt of the event that used up a budget to the changed answer.
    pub stop_latency: Buckets,
}

impl Counters {
    /// Reads the text of `/metrics`.
    #[must_use]
    pub fn parse(text: &str) -> Counters {
        let mut found = Counters::default();
        for line in text.lines() {
            let Some((name, labels, value)) = split(line) else { continue };
            match name {
                "penstock_intake_accepted_events_total" => {
                    if let Some(kind) = label(labels, "type")
                        && (found.accepted.len() < MOST_TYPES || found.accepted.contains_key(kind))
                    {
                        add(found.accepted.entry(kind.to_owned()).or_default(), whole(value));
                    }
                }
                "penstock_intake_rejected_events_total" => add(&mut found.rejected, whole(value)),
                "penstock_intake_ack_seconds_bucket" => found.ack.read(labels, value),
                "penstock_stop_latency_seconds_bucket" => found.stop_latency.read(labels, value),
                _ => {}
            }
        }
        found
    }

    /// Adds what another sidecar has counted.
    pub fn add(&mut self, other: &Counters) {
        for (kind, n) in &other.accepted {
            add(self.accepted.entry(kind.clone()).or_default(), *n);
        }
        add(&mut self.rejected, other.rejected);
        self.ack.add(&other.ack);
        self.stop_latency.add(&other.stop_latency);
    }

    /// What was counted since `before`. A process that began anew counts from 0: all it has counts.
    #[must_use]
    pub fn since(&self, before: &Counters) -> Counters {
        let restarted = self.rejected < before.rejected
            || before.accepted.iter().any(|(kind, n)| self.accepted.get(kind).is_none_or(|now| now < n));
        if restarted {
            return self.clone();
        }
        let accepted = self.accepted.iter().map(|(kind, n)| {
            let earlier = before.accepted.get(kind).copied().unwrap_or(0);
            (kind.clone(), n.saturating_sub(earlier))
        });
        Counters {
            accepted: accepted.collect(),
            rejected: self.rejected.saturating_sub(before.rejected),
            ack: self.ack.since(&before.ack),
            stop_latency: self.stop_latency.since(&before.stop_latency),
        }
    }
}

impl Buckets {
    fn read(&mut self, labels: &str, value: &str) {
        let Some(bound) = label(labels, "le").and_then(micros) else { return };
        if self.0.len() < MOST_BUCKETS || self.0.contains_key(&bound) {
            add(self.0.entry(bound).or_default(), whole(value));
        }
    }

    fn add(&mut self, other: &Buckets) {
        for (bound, n) in &other.0 {
            add(self.0.entry(*bound).or_default(), *n);
        }
    }

    fn since(&self, before: &Buckets) -> Buckets {
        let earlier = |bound| before.0.get(bound).copied().unwrap_or(0);
        Buckets(self.0.iter().map(|(bound, n)| (*bound, n.saturating_sub(earlier(bound)))).collect())
    }

    /// The value in microseconds that `percent` of all lie at or below, straight within its bucket
    /// as Prometheus' `histogram_quantile` has it; `None` when nothing was counted.
    #[must_use]
    pub fn quantile(&self, percent: u64) -> Option<u64> {
        let all = *self.0.values().next_back()?;
        if all == 0 {
            return None;
        }
        // In hundredths of an event, so that the rank needs no fraction.
        let rank = u128::from(all) * u128::from(percent.min(100));
        let (mut lower, mut below) = (0u64, 0u128);
        for (bound, n) in &self.0 {
            let upto = u128::from(*n) * 100;
            if upto >= rank {
                if *bound == u64::MAX {
                    return Some(lower);
                }
                let (within, width) = (upto - below, u128::from(bound - lower));
                let part = (width * (rank - below.min(rank))).checked_div(within).unwrap_or(0);
                return Some(lower + u64::try_from(part).unwrap_or(0));
            }
            (lower, below) = (*bound, upto);
        }
        Some(lower)
    }
}

fn add(to: &mut u64, n: u64) {
    *to = to.saturating_add(n);
}

/// Name, labels without their braces, value.
fn split(line: &str) -> Option<(&str, &str, &str)> {
    let (head, rest) = match line.find('{') {
        Some(open) => {
            let close = line.rfind('}').filter(|close| *close > open)?;
            ((&line[..open], &line[open + 1..close]), &line[close + 1..])
        }
        None => {
            let (name, rest) = line.split_once(' ')?;
            ((name, ""), rest)
        }
    };
    Some((head.0, head.1, rest.split_ascii_whitespace().next()?))
}

/// The value of one label. The labels that are asked for have no escapes in them.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
}

fn whole(value: &str) -> u64 {
    value.parse().unwrap_or(0)
}

/// Seconds as a decimal, in microseconds; `+Inf` is the largest number.
#[expect(clippy::float_arithmetic, reason = "a bucket's bound, which is written as a fraction of a second")]
fn micros(bound: &str) -> Option<u64> {
    let seconds: f64 = bound.parse().ok()?;
    if seconds.is_infinite() && seconds > 0.0 {
        return Some(u64::MAX);
    }
    let micros = (seconds * 1e6).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to lie within")]
    (0.0..9e15).contains(&micros).then_some(micros as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock::telemetry::sidecar::{CodeLabel, DurabilityLabel, TypeLabel};
    use penstock::telemetry::{SharedRegistry, SidecarMetrics};

    #[test]
    fn what_a_sidecar_counts_is_read_back_from_its_text() {
        let registry = SharedRegistry::new();
        let metrics = registry.with(SidecarMetrics::register);
        metrics.accepted.get_or_create(&TypeLabel { r#type: "click" }).inc_by(7);
        metrics.rejected.get_or_create(&CodeLabel { code: "missing_field" }).inc_by(2);
        for _ in 0..99 {
            metrics.ack.get_or_create(&DurabilityLabel { durability: "os" }).observe(0.000_15);
        }
        metrics.ack.get_or_create(&DurabilityLabel { durability: "disk" }).observe(0.03);
        let first = Counters::parse(&registry.encode());
        assert_eq!((first.accepted["click"], first.accepted["visit"], first.rejected), (7, 0, 2));
        let (p50, p99) = (first.ack.quantile(50).unwrap(), first.ack.quantile(99).unwrap());
        assert!((100..=200).contains(&p50) && (100..=200).contains(&p99), "{p50} {p99}");
        assert!((25_000..60_000).contains(&first.ack.quantile(100).unwrap()));
        assert_eq!(first.stop_latency.quantile(50), None);

        metrics.accepted.get_or_create(&TypeLabel { r#type: "click" }).inc_by(5);
        let second = Counters::parse(&registry.encode());
        let between = second.since(&first);
        assert_eq!((between.accepted["click"], between.rejected, between.ack.quantile(50)), (5, 0, None));
        assert_eq!(first.since(&second), first, "a process that began anew");
    }

    #[test]
    fn text_that_is_no_exposition_counts_nothing() {
        for text in ["", "{", "}{", "a{b", "penstock_intake_ack_seconds_bucket{le=\"x\"} 1", "<html>} {"] {
            assert_eq!(Counters::parse(text), Counters::default(), "{text}");
        }
    }
}
