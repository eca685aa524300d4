//! The answer to a request whose events were looked at one by one.
//!
//! `{"accepted":N,"rejected":[{"index":3,"code":"missing_field","field":"payload.tag","message":"…"}]}`;
//! a rejection of NDJSON names its `line` too, from 1, empty ones counted.

use bytes::Bytes;
use penstock::event::Rejection;
use std::borrow::Cow;

/// Rejections of one request, written as they come; its memory is used again.
#[derive(Debug, Default)]
pub struct Rejections {
    json: Vec<u8>,
    count: u32,
    /// The last answer without rejections, and how many it accepts: the next request's is mostly the same.
    last: Option<(u32, Bytes)>,
}

#[derive(serde::Serialize)]
struct Entry<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a Cow<'static, str>>,
    message: &'a str,
}

impl Rejections {
    /// Forgets the previous request's and keeps the memory, unless it was exceptionally much.
    pub fn clear(&mut self) {
        self.json.clear();
        self.json.shrink_to(1 << 20);
        self.count = 0;
    }

    /// Adds one. `index` counts the request's events from 0.
    pub fn push(&mut self, index: u32, line: Option<u32>, rejection: &Rejection) {
        if self.count > 0 {
            self.json.push(b',');
        }
        self.count += 1;
        let Rejection { code, field, message } = rejection;
        let entry = Entry { index, line, code: code.name(), field: field.as_ref(), message };
        if let Err(error) = serde_json::to_writer(&mut self.json, &entry) {
            // A struct of strings and integers into memory: serde_json has no reason to refuse.
            tracing::error!(%error, "a rejection could not be written");
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The whole answer's body.
    #[must_use]
    pub fn answer(&mut self, accepted: u32) -> Bytes {
        if self.count > 0 {
            return Bytes::from(self.written(accepted));
        }
        match &self.last {
            Some((n, answer)) if *n == accepted => answer.clone(),
            _ => {
                let answer = Bytes::from(self.written(accepted));
                self.last = Some((accepted, answer.clone()));
                answer
            }
        }
    }

    fn written(&self, accepted: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.json.len() + 40);
        out.extend_from_slice(b"{\"accepted\":");
        out.extend_from_slice(accepted.to_string().as_bytes());
        out.extend_from_slice(b",\"rejected\":[");
        out.extend_from_slice(&self.json);
        out.extend_from_slice(b"]}");
        out
    }
}
