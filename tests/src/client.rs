//! A client as an ad server would write one: every request has an Idempotency-Key and is repeated
//! under it until it is answered.

use std::time::Duration;

/// Posts NDJSON batches and never gives up on one.
pub struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    /// For the sidecar at `address`.
    #[must_use]
    pub fn new(address: std::net::SocketAddr) -> Client {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .build()
            .expect("a client without TLS can be built");
        Client { http, url: format!("http://{address}/v1/events") }
    }

    /// Posts one batch until it is answered 202; returns how often it was sent.
    ///
    /// # Panics
    /// On an answer that no repeat can change, or after two minutes without one.
    pub async fn deliver(&self, key: &str, body: String) -> u32 {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
        let mut sent = 0;
        loop {
            sent += 1;
            let answer = self
                .http
                .post(&self.url)
                .header("content-type", "application/x-ndjson")
                .header("idempotency-key", key)
                .body(body.clone())
                .send()
                .await;
            match answer {
                Ok(answer) if answer.status().as_u16() == 202 => {
                    // An answer cut by the kill is no answer: the body must have arrived whole.
                    if let Ok(text) = answer.text().await {
                        assert!(text.contains("\"rejected\":[]"), "{key}: {text}");
                        return sent;
                    }
                }
                Ok(answer) if answer.status().as_u16() == 503 => {}
                Ok(answer) => panic!("{key}: {} {}", answer.status(), answer.text().await.unwrap_or_default()),
                Err(_) => {}
            }
            assert!(tokio::time::Instant::now() < deadline, "{key} was not answered in two minutes");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
