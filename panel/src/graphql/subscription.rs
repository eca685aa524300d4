//! What a browser is told without asking: each stream waits for the browser to take what it was
//! sent, and then tells the newest.

use super::nodes::{EventNode, KpisNode, NowNode, sources};
use super::sources::Sources;
use super::{Connection, refused};
use crate::api::types::{Campaign, Event};
use crate::feed::Feed;
use crate::statistics::TailFilter;
use async_graphql::{Context, Result, SimpleObject, Subscription};
use futures::Stream;
use futures::stream::unfold;
use penstock::ledger::StateChange;
use penstock::log::{LogId, Offset};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Campaigns of one subscription.
const MOST_IDS: usize = 100;
/// Stops that are read in one go.
const STEP: usize = 100;
/// Events that one tail tells a second.
const TAIL: u64 = 50;
/// States older than this were decided before anybody looked: a new publisher tells all again.
const FRESH: Duration = Duration::from_secs(30);

/// A campaign's figures after a change.
#[derive(SimpleObject)]
pub(super) struct CampaignUpdate {
    campaign_id: u32,
    kpis: KpisNode,
    spent_nanos: String,
    spent_today_nanos: String,
    serving: bool,
    reasons: Vec<String>,
}

/// A campaign that was stopped, or serves again.
#[derive(SimpleObject)]
pub(super) struct StopUpdate {
    campaign_id: u32,
    name: String,
    serving: bool,
    reasons: Vec<String>,
    time: String,
}

/// All that can be listened to.
pub(crate) struct Subscription;

#[Subscription]
impl Subscription {
    /// Figures of campaigns: at once, and whenever they change.
    async fn campaign_kpis(
        &self,
        ctx: &Context<'_>,
        ids: Vec<u32>,
    ) -> Result<impl Stream<Item = CampaignUpdate> + use<>> {
        if ids.is_empty() || ids.len() > MOST_IDS {
            return Err(refused("ids", "name 1 to 100 campaigns"));
        }
        let place = place(ctx)?;
        let sources = sources(ctx)?.clone();
        let feed = sources.feed();
        let watch = feed.touched().watch();
        let seen = ids.into_iter().map(|id| (id, None)).collect();
        let kpis = Kpis { sources, feed, watch, seen, waiting: VecDeque::new(), _place: place };
        Ok(unfold(kpis, |mut kpis| async { kpis.next().await.map(|update| (update, kpis)) }))
    }

    /// Stops and resumes of all campaigns, from now on.
    async fn stops(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = StopUpdate> + use<>> {
        let place = place(ctx)?;
        let sources = sources(ctx)?.clone();
        let feed = sources.feed();
        let mut watch = feed.states().watch();
        let seen = *watch.borrow_and_update();
        let since = sources.time().minus(FRESH);
        let stops = Stops { sources, feed, watch, seen, since, waiting: VecDeque::new(), _place: place };
        Ok(unfold(stops, |mut stops| async { stops.next().await.map(|update| (update, stops)) }))
    }

    /// What happens this second, once a second.
    async fn throughput(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = NowNode> + use<>> {
        let place = place(ctx)?;
        let sources = sources(ctx)?.clone();
        let ticks = sources.ticks();
        Ok(unfold((sources, ticks, place), |(sources, mut ticks, place)| async {
            ticks.changed().await.ok()?;
            let now = NowNode::from(&*sources.now().await);
            Some((now, (sources, ticks, place)))
        }))
    }

    /// Events as they come in, the newest first: at most 50 a second.
    async fn events(
        &self,
        ctx: &Context<'_>,
        types: Option<Vec<String>>,
        campaign_id: Option<u32>,
        search: Option<String>,
    ) -> Result<impl Stream<Item = Vec<EventNode>> + use<>> {
        let types = types.unwrap_or_default();
        if types.len() > penstock::event::TYPES.len() || types.iter().any(|t| penstock::event::by_name(t).is_none()) {
            return Err(refused("types", "there is no event type of that name"));
        }
        if search.as_ref().is_some_and(|s| s.len() > 256) {
            return Err(refused("search", "may have at most 256 bytes"));
        }
        let place = place(ctx)?;
        let sources = sources(ctx)?.clone();
        let tails = sources.tail_place().ok_or_else(|| {
            async_graphql::Error::new("as many live tails are open as may be: close one, or ask again later")
        })?;
        let filter = TailFilter {
            types,
            campaign_id,
            search: search.filter(|s| !s.is_empty()),
            limit: TAIL,
            ..TailFilter::default()
        };
        let (ticks, told) = (sources.ticks(), sources.written());
        let tail = Tail { sources, ticks, told, filter, _places: (place, tails) };
        Ok(unfold(tail, |mut tail| async {
            let events = tail.next().await?;
            Some((events.into_iter().map(EventNode).collect(), tail))
        }))
    }
}

/// A place among the subscriptions of this connection.
fn place(ctx: &Context<'_>) -> Result<OwnedSemaphorePermit> {
    let connection = ctx.data::<Connection>()?;
    let place = connection.0.clone().try_acquire_owned();
    place.map_err(|_| refused("subscription", "this connection has as many subscriptions as it may have"))
}

struct Kpis {
    sources: Arc<dyn Sources>,
    feed: Feed,
    watch: watch::Receiver<u64>,
    /// The change that was told last; `None`: nothing yet.
    seen: HashMap<CampaignId, Option<u64>>,
    waiting: VecDeque<CampaignUpdate>,
    _place: OwnedSemaphorePermit,
}

impl Kpis {
    async fn next(&mut self) -> Option<CampaignUpdate> {
        loop {
            if let Some(update) = self.waiting.pop_front() {
                return Some(update);
            }
            self.watch.mark_unchanged();
            let changed: Vec<(CampaignId, u64)> = self
                .seen
                .iter()
                .map(|(id, seen)| (*id, *seen, self.feed.touched().changed(*id)))
                .filter(|(_, seen, change)| seen.is_none_or(|seen| seen < *change))
                .map(|(id, _, change)| (id, change))
                .collect();
            for (id, change) in changed {
                match self.sources.campaign_at(id, change).await {
                    Ok(campaign) => {
                        self.seen.insert(id, Some(change));
                        self.waiting.extend(campaign.as_deref().map(CampaignUpdate::from));
                    }
                    // The ledger is away for the moment; the next change, or the next second, asks again.
                    Err(error) => tracing::debug!(%error, campaign = id, "a live figure is not known"),
                }
            }
            if self.waiting.is_empty() {
                self.watch.changed().await.ok()?;
            }
        }
    }
}

impl From<&Campaign> for CampaignUpdate {
    fn from(c: &Campaign) -> Self {
        CampaignUpdate {
            campaign_id: c.campaign_id,
            kpis: c.kpis.into(),
            spent_nanos: c.spent_nanos.0.to_string(),
            spent_today_nanos: c.spent_today_nanos.0.to_string(),
            serving: c.reasons.is_empty(),
            reasons: c.reasons.clone(),
        }
    }
}

struct Stops {
    sources: Arc<dyn Sources>,
    feed: Feed,
    watch: watch::Receiver<u64>,
    seen: u64,
    since: Micros,
    waiting: VecDeque<StopUpdate>,
    _place: OwnedSemaphorePermit,
}

impl Stops {
    async fn next(&mut self) -> Option<StopUpdate> {
        loop {
            if let Some(update) = self.waiting.pop_front() {
                return Some(update);
            }
            self.watch.mark_unchanged();
            let (seen, states) = self.feed.states().since(self.seen, STEP);
            self.seen = seen;
            let none = states.is_empty();
            let fresh: Vec<StateChange> = states.into_iter().map(|(_, s)| s).filter(|s| s.at >= self.since).collect();
            let ids: Vec<CampaignId> = fresh.iter().map(|s| s.campaign_id).collect();
            let names =
                if ids.is_empty() { HashMap::new() } else { self.sources.names(&ids).await.unwrap_or_default() };
            self.waiting.extend(fresh.into_iter().map(|state| StopUpdate {
                campaign_id: state.campaign_id,
                name: names.get(&state.campaign_id).cloned().unwrap_or_default(),
                serving: state.serving,
                reasons: state.reasons.iter().map(|r| r.name().to_owned()).collect(),
                time: crate::api::types::Time(state.at).to_string(),
            }));
            if none {
                self.watch.changed().await.ok()?;
            }
        }
    }
}

struct Tail {
    sources: Arc<dyn Sources>,
    ticks: watch::Receiver<u64>,
    /// Up to where events were told.
    told: BTreeMap<LogId, Offset>,
    filter: TailFilter,
    _places: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Tail {
    async fn next(&mut self) -> Option<Vec<Event>> {
        loop {
            self.ticks.changed().await.ok()?;
            let written = self.sources.written();
            self.filter.ranges = written
                .iter()
                // A partition that appears is told from where it stands then.
                .filter_map(|(log, to)| Some((log.clone(), (*self.told.get(log)?, *to))))
                .collect();
            match self.sources.tail(&self.filter).await {
                Ok(events) => {
                    self.told = written;
                    if !events.is_empty() {
                        return Some(events);
                    }
                }
                Err(error) => tracing::debug!(%error, "the live tail is not known"),
            }
        }
    }
}
