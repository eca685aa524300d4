//! `penstock panel`: the API, in a process that runs no pipeline.
//!
//! It answers `/healthz` and `/readyz` from its first moment; the API follows on the same address
//! when the ledger is there.

use super::health::{self, Pipelines, Serving, Shown};
use super::peers::Peers;
use super::process::{Role, Running};
use super::standing::Elsewhere;
use super::{board, dead, ledger};
use crate::parts::statistics::Server;
use crate::parts::views::ArchiveView;
use crate::parts::{access, archive};
use anyhow::Context;
use penstock::kafka::Tail;
use penstock::log::kafka::{FetchOptions, Fetcher, GroupsView};
use penstock::settings::PanelSettings;
use penstock::telemetry::{ArchiveMetrics, KafkaLogMetrics};
use penstock_consumers::archive::ArchiveStore;
use penstock_consumers::balances::ledger::AnyLedger;
use penstock_consumers::dead::TopicLetters;
use penstock_panel::feed::{Feed, Feeding};
use penstock_panel::reconcile::SinkName;
use penstock_panel::{ClickHouse, PanelConfig};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often brokers that are away are asked where the live feed begins.
const FEED_RETRY: Duration = Duration::from_secs(2);

/// A panel that runs.
pub struct Panel {
    address: SocketAddr,
    /// Waits for the ledger, then serves until the role stops.
    serving: JoinHandle<()>,
}

impl Panel {
    /// Starts it. Errors: the address is in use, or a setting cannot be used.
    pub async fn start(role: Role) -> anyhow::Result<Panel> {
        ledger::check(&role.settings)?;
        let server = Server::configured(&role.settings.statistics)?.context(
            "the configuration names no statistics.url: a cluster keeps its statistics in ClickHouse servers",
        )?;
        let clickhouse = server.reader(&role.settings.statistics);
        let peers = Peers::new(&role.settings.panel.roles)?;
        let shown = Shown {
            role: "panel",
            board: role.board.clone(),
            pipelines: Pipelines::default(),
            registry: role.registry.clone(),
            clock: role.clock.clone(),
        };
        let brokers = Brokers::new(&role)?;
        let listen = role.listen.unwrap_or(role.settings.panel.listen);
        role.settings.panel.access.check(listen)?;
        role.board.waits("start", "what the panel asks is being opened");
        let starting = health::serve(listen, &role.settings.panel.allowed_hosts, shown)?;
        let address = starting.address;
        let serving = actix_rt::spawn(serve(role, address, starting, clickhouse, peers, brokers));
        Ok(Panel { address, serving })
    }
}

impl Running for Panel {
    fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn stop(self) {
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the panel panicked");
        }
    }
}

/// What the API asks.
struct Sources {
    ledger: AnyLedger,
    archive: ArchiveStore,
}

/// What the API asks of Kafka.
struct Brokers {
    groups: GroupsView,
    dead: Arc<dead::View>,
}

impl Brokers {
    /// Connects in the background. Errors: a setting cannot be used.
    fn new(role: &Role) -> anyhow::Result<Brokers> {
        let (kafka, consume) = (&role.settings.kafka, &role.settings.consume);
        let names = SinkName::ALL.map(|sink| consume.group(sink.name()));
        let groups = GroupsView::new(kafka, kafka.event_topics(), &names).context("cannot read from Kafka")?;
        let options =
            FetchOptions { group: consume.group("panel"), ahead_bytes: consume.ahead_bytes, gather: Duration::ZERO };
        let fetcher = Fetcher::new(kafka, &options).context("cannot read from Kafka")?;
        let metrics = role.registry.with(KafkaLogMetrics::register);
        let letters = TopicLetters::new(fetcher, &kafka.dead_topic, &metrics, role.clock.clone());
        let registry = super::registry::lookup(role)?;
        let dead = dead::View::new(letters, kafka, registry, &role.clock).context("cannot write to Kafka")?;
        Ok(Brokers { groups, dead: Arc::new(dead) })
    }
}

async fn serve(
    role: Role,
    address: SocketAddr,
    starting: Serving,
    clickhouse: ClickHouse,
    peers: Peers,
    brokers: Brokers,
) {
    let asking = actix_rt::spawn(peers.clone().run(role.stop.clone()));
    let opened = open(&role).await;
    // Its address is what the API takes over.
    starting.stop().await;
    if let Some(sources) = opened {
        let feed = live_feed(&role);
        let live = Arc::new(Elsewhere::new(peers.clone(), brokers.groups, role.settings.consume.clone()));
        let started = board::until(&role.board, "listen", &role.stop, async || {
            penstock_panel::Panel::start(PanelConfig {
                settings: PanelSettings { listen: address, ..role.settings.panel.clone() },
                clickhouse: clickhouse.clone(),
                ledger: sources.ledger.clone(),
                known_lead: role.settings.balances.known_lead,
                live: live.clone(),
                archive: Arc::new(ArchiveView(sources.archive.clone())),
                dead: brokers.dead.clone(),
                feed: feed.clone(),
                roles: peers.probes(),
                registry: role.registry.clone(),
                clock: role.clock.clone(),
                shutdown: role.stop.clone(),
            })
        });
        if let Some(running) = started.await
            && let Err(error) = running.finished().await
        {
            tracing::warn!(%error, "the panel ended badly");
        }
        sources.ledger.close().await;
    }
    if let Err(error) = asking.await {
        tracing::error!(%error, "whoever asks the other roles panicked");
    }
}

/// Follows the topics of states and figures from where they end when the brokers first answer.
fn live_feed(role: &Role) -> Feed {
    let feed = Feed::default();
    let kafka = &role.settings.kafka;
    for (feeding, topic) in [(Feeding::States, &kafka.state_topic), (Feeding::Kpis, &kafka.kpis_topic)] {
        let (feed, stop, tail) = (feed.clone(), role.stop.clone(), Tail::new(kafka, topic, 0));
        actix_rt::spawn(async move {
            let end = loop {
                match tail.bounds().await {
                    Ok((_, end)) => break end,
                    Err(error) => tracing::warn!(%error, ?feeding, "the live feed waits for Kafka"),
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(FEED_RETRY) => {}
                }
            };
            feed.follow(feeding, tail, end, stop).await;
        });
    }
    feed
}

/// Opens all of it; waits for what is away. `None` when the process is to stop first.
async fn open(role: &Role) -> Option<Sources> {
    let ledger = ledger::wait(role).await?;
    let first = board::until(&role.board, "access", &role.stop, async || {
        access::prepare(&ledger, &role.settings.panel, None).await
    });
    if let Some(admin) = first.await? {
        access::tell(&admin);
    }
    let metrics = role.registry.with(ArchiveMetrics::register);
    let archive = board::until(&role.board, "archive", &role.stop, async || {
        archive::connect(Path::new("archive"), &role.settings.archive, metrics.clone()).await
    });
    Some(Sources { ledger, archive: archive.await? })
}
