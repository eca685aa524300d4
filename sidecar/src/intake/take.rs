//! From a body to framed records: split, admit, count. Without a wait and without an allocation
//! an event.

use super::answer::Rejections;
use super::split::{Format, split};
use crate::http::problem::Problem;
use penstock::event::{self, Code, Defaults, IdSource, PeerHints, TYPES, TypeInfo};
use penstock::log::spool::GroupBuf;
use penstock::telemetry::SidecarMetrics;
use penstock::telemetry::sidecar::{CodeLabel, TypeLabel};
use prometheus_client::metrics::counter::Counter;

/// What a route's bodies hold.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// Whole events, in this format.
    Events(Format),
    /// One payload of this type; the peer fills what it lacks.
    Payload(&'static TypeInfo, PeerHints<'a>),
}

/// What came of a request's events: counted once the answer stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Accepted, by place in [`TYPES`].
    accepted: [u32; Tally::MOST],
    /// Rejected, by place in [`Code::ALL`].
    rejected: [u32; Tally::MOST],
}

impl Tally {
    const MOST: usize = 32;

    fn accept(&mut self, kind: &'static TypeInfo) {
        let place = TYPES.iter().position(|t| std::ptr::eq(*t, kind));
        if let Some(count) = place.and_then(|i| self.accepted.get_mut(i)) {
            *count += 1;
        }
    }

    fn reject(&mut self, code: Code) {
        let place = Code::ALL.iter().position(|c| *c == code);
        if let Some(count) = place.and_then(|i| self.rejected.get_mut(i)) {
            *count += 1;
        }
    }

    /// Counts them as accepted and rejected.
    pub fn count(&self, counters: &Counters) {
        let accepted = counters.accepted.iter().zip(&self.accepted);
        let rejected = counters.rejected.iter().zip(&self.rejected);
        for (counter, count) in accepted.chain(rejected).filter(|(_, n)| **n > 0) {
            counter.inc_by((*count).into());
        }
    }
}

/// What tallies are counted in, looked up once a worker.
#[derive(Debug)]
pub struct Counters {
    /// By place in [`TYPES`].
    accepted: Vec<Counter>,
    /// By place in [`Code::ALL`].
    rejected: Vec<Counter>,
}

impl Counters {
    /// Those of the sidecar's metrics.
    #[must_use]
    pub fn of(metrics: &SidecarMetrics) -> Self {
        let accepted = |kind: &&TypeInfo| metrics.accepted.get_or_create_owned(&TypeLabel { r#type: kind.name });
        let rejected = |code: &Code| metrics.rejected.get_or_create_owned(&CodeLabel { code: code.name() });
        Self { accepted: TYPES.iter().map(accepted).collect(), rejected: Code::ALL.iter().map(rejected).collect() }
    }
}

/// A worker's buffers, used again from request to request.
#[derive(Debug)]
pub struct Bench {
    /// Accepted events, framed.
    pub records: GroupBuf,
    /// Rejected ones.
    pub rejections: Rejections,
    /// Makes ids for events without one.
    pub ids: IdSource,
}

impl Bench {
    /// Empty buffers.
    pub fn new(ids: IdSource) -> Self {
        Self { records: GroupBuf::new(), rejections: Rejections::default(), ids }
    }

    /// Takes all events of a body. Returns what came of them; the accepted ones are in `records`.
    ///
    /// Errors: `malformed_json`, `empty_body` (400), `too_many_events` (413); what was taken until
    /// then is to be thrown away.
    pub fn take(
        &mut self,
        body: &[u8],
        content: Content<'_>,
        defaults: &Defaults<'_>,
        max_events: usize,
    ) -> Result<Tally, Problem> {
        self.records.clear();
        self.rejections.clear();
        let mut tally = Tally::default();
        let format = match content {
            Content::Events(format) => format,
            Content::Payload(..) => Format::Json,
        };
        if body.trim_ascii().is_empty() {
            return Err(Problem::bad_request("empty_body", "the body is empty"));
        }
        if matches!(content, Content::Payload(..)) && !body.trim_ascii_start().starts_with(b"{") {
            return Err(Problem::bad_request("malformed_json", "this route takes one payload: a JSON object"));
        }
        for (index, element) in (0..).zip(split(body, format)) {
            let element = element.map_err(|e| Problem::bad_request("malformed_json", e.to_string()))?;
            if usize::try_from(index).is_ok_and(|i| i >= max_events) {
                let detail = format!("a request may have at most {max_events} events; send more requests");
                return Err(Problem::too_large("too_many_events", detail));
            }
            let out = self.records.begin_record();
            let admitted = match content {
                Content::Events(_) => event::admit(element.raw, defaults, &mut self.ids, out),
                Content::Payload(kind, peer) => {
                    event::admit_payload(kind, element.raw, &peer, defaults, &mut self.ids, out).map(|()| kind)
                }
            };
            match admitted {
                Ok(kind) => {
                    self.records.end_record();
                    tally.accept(kind);
                }
                Err(rejection) => {
                    self.records.cancel_record();
                    tally.reject(rejection.code);
                    self.rejections.push(index, element.line, &rejection);
                }
            }
        }
        Ok(tally)
    }
}
