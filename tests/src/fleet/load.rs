//! The input in small requests, sent to both sidecars while something happens to the system.

use super::Fleet;
use crate::client::Client;
use crate::oracle::Input;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Events a request: few, so that many requests fall into each fault.
const BATCH: usize = 10;

/// The requests of an input, in rounds.
pub struct Load {
    rounds: std::vec::IntoIter<Vec<(String, String)>>,
    spare: Vec<(String, String)>,
}

impl Load {
    /// Deals the input's requests out to so many rounds, and keeps one a round for [`Load::spare`].
    ///
    /// # Panics
    /// When the input cannot be read.
    #[must_use]
    pub fn over(input: &Input, rounds: usize) -> Load {
        let text = std::fs::read_to_string(&input.events).expect("the events can be read");
        let lines: Vec<&str> = text.lines().collect();
        let mut requests: Vec<(String, String)> =
            lines.chunks(BATCH).enumerate().map(|(i, lines)| (format!("batch-{i}"), lines.join("\n"))).collect();
        let spare = requests.split_off(requests.len().saturating_sub(rounds));
        let size = requests.len().div_ceil(rounds).max(1);
        let rounds: Vec<_> = requests.chunks(size).map(<[_]>::to_vec).collect();
        Load { rounds: rounds.into_iter(), spare }
    }

    /// A request that is in no round, for a test to send when it wants to. There is one a round.
    ///
    /// # Panics
    /// When all were taken.
    pub fn spare(&mut self) -> (String, String) {
        self.spare.pop().expect("there is a spare request for each round")
    }

    /// Sends what was not asked for, so that the input is whole.
    pub async fn rest(&mut self, fleet: &mut Fleet) {
        let client = fleet.client("sidecar-1");
        let rest: Vec<_> = self.spare.drain(..).chain(self.rounds.by_ref().flatten()).collect();
        send_all(client, rest, Duration::ZERO).await;
    }

    /// Sends the next round to both sidecars in turn, in about `over`; each request is repeated until
    /// it is acknowledged.
    pub fn send(&mut self, fleet: &mut Fleet, over: Duration) -> Sending {
        let requests = self.rounds.next().unwrap_or_default();
        let clients = [fleet.client("sidecar-1"), fleet.client("sidecar-2")];
        let pause = over / u32::try_from(requests.len().max(1)).unwrap_or(u32::MAX);
        let task = clients.into_iter().enumerate().map(|(n, client)| {
            let mine: Vec<_> = requests.iter().skip(n).step_by(2).cloned().collect();
            tokio::spawn(send_all(client, mine, pause * 2))
        });
        Sending(task.collect())
    }
}

async fn send_all(client: Client, requests: Vec<(String, String)>, pause: Duration) {
    let mut tick = tokio::time::interval(pause.max(Duration::from_millis(1)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    for (key, body) in requests {
        tick.tick().await;
        client.deliver(&key, body).await;
    }
}

/// A round under way.
pub struct Sending(Vec<JoinHandle<()>>);

impl Sending {
    /// Waits until everything is acknowledged.
    ///
    /// # Panics
    /// When a request was refused, or not answered in two minutes.
    pub async fn acknowledged(self) {
        for task in self.0 {
            task.await.expect("every request is acknowledged");
        }
    }
}
