//! From a body to framed records: split, admit, count. Without a wait and without an allocation
//! an event.

use super::answer::Rejections;
use super::split::{Format, split};
use crate::http::problem::Problem;
use penstock::event::{self, Code, Defaults, IdSource, PeerHints, Raw, Rejection, TYPES, TypeInfo};
use penstock::log::spool::GroupBuf;
use penstock::telemetry::SidecarMetrics;
use penstock::telemetry::sidecar::{CodeLabel, TypeLabel};
use prometheus_client::metrics::counter::Counter;
use smallvec::SmallVec;

/// What a route's bodies hold.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// Whole events, in this format.
    Events(Format),
    /// One payload of this type; the peer fills what it lacks.
    Payload(&'static TypeInfo, PeerHints<'a>),
}

/// What came of a request's events: counted once the answer stands.
///
/// Nearly every request has events of one or two types and no rejection: it is small while it waits.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Accepted, by place in [`TYPES`].
    accepted: Counts,
    /// Rejected, by place in [`Code::ALL`].
    rejected: Counts,
}

/// Places and how often each.
type Counts = SmallVec<[(u8, u32); 2]>;

fn count(counts: &mut Counts, place: Option<usize>) {
    let Some(place) = place.and_then(|place| u8::try_from(place).ok()) else { return };
    match counts.iter_mut().find(|(of, _)| *of == place) {
        Some((_, n)) => *n += 1,
        None => counts.push((place, 1)),
    }
}

impl Tally {
    fn accept(&mut self, kind: &'static TypeInfo) {
        count(&mut self.accepted, TYPES.iter().position(|t| std::ptr::eq(*t, kind)));
    }

    fn reject(&mut self, code: Code) {
        count(&mut self.rejected, Code::ALL.iter().position(|c| *c == code));
    }

    /// Counts them as accepted and rejected.
    pub fn count(&self, counters: &Counters) {
        for (counts, counters) in [(&self.accepted, &counters.accepted), (&self.rejected, &counters.rejected)] {
            for (place, n) in counts {
                if let Some(counter) = counters.get(usize::from(*place)) {
                    counter.inc_by((*n).into());
                }
            }
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
        // All of the body at once is a fraction of its events one by one. When not all of it is UTF-8, they are
        // looked at one by one: those that are, are taken.
        let text = simdutf8::basic::from_utf8(body).ok();
        // Nearly every body of one event: what is taken needs no search for where it ends. What is not
        // goes the way of all others, which says why.
        if format == Format::Json
            && max_events > 0
            && let (Some(b'{'), Some(b'}')) = (body.first(), body.last())
            && let Ok(kind) = self.admit(text.map_or(Raw::Bytes(body), Raw::Text), content, defaults)
        {
            tally.accept(kind);
            return Ok(tally);
        }
        for (index, element) in (0..).zip(split(body, format)) {
            let element = element.map_err(|e| Problem::bad_request("malformed_json", e.to_string()))?;
            if usize::try_from(index).is_ok_and(|i| i >= max_events) {
                let detail = format!("a request may have at most {max_events} events; send more requests");
                return Err(Problem::too_large("too_many_events", detail));
            }
            let text = text.and_then(|text| text.get(element.at..element.at + element.raw.len()));
            match self.admit(text.map_or(Raw::Bytes(element.raw), Raw::Text), content, defaults) {
                Ok(kind) => tally.accept(kind),
                Err(rejection) => {
                    tally.reject(rejection.code);
                    self.rejections.push(index, element.line, &rejection);
                }
            }
        }
        Ok(tally)
    }

    /// Adds one event to `records`. Errors: its rejection; nothing is added then.
    fn admit(
        &mut self,
        raw: Raw<'_>,
        content: Content<'_>,
        defaults: &Defaults<'_>,
    ) -> Result<&'static TypeInfo, Rejection> {
        let out = self.records.begin_record();
        let admitted = match content {
            Content::Events(_) => event::admit(raw, defaults, &mut self.ids, out),
            Content::Payload(kind, peer) => {
                event::admit_payload(kind, raw, &peer, defaults, &mut self.ids, out).map(|()| kind)
            }
        };
        match admitted {
            Ok(_) => self.records.end_record(),
            Err(_) => self.records.cancel_record(),
        }
        admitted
    }
}

#[cfg(test)]
#[path = "take_tests.rs"]
mod tests;
