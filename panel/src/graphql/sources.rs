//! What GraphQL asks: the same sources as the REST routes, without the ledger's type in every name.

use crate::api::params::Span;
use crate::api::problem::{Code, Problem};
use crate::api::types::{AuditEntry, Campaign, Event, LedgerLine, Now, Quality, StateLine, Status, TimeseriesPoint};
use crate::app::App;
use crate::campaigns::{self, Wanted};
use crate::feed::Feed;
use crate::statistics::{Cursor, EventFilter, Order, Series, TailFilter};
use crate::{quality, standing};
use futures::future::BoxFuture;
use penstock::ledger::{AuditFilter, Ledger, LineFilter};
use penstock::log::{LogId, Offset};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// An answer of a source.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, Problem>>;

/// Everything that resolvers and subscriptions ask.
pub(crate) trait Sources: Send + Sync {
    fn campaigns<'a>(&'a self, wanted: &'a Wanted, limit: usize) -> Answer<'a, (Vec<Campaign>, bool)>;
    /// Those that there are, in any order.
    fn campaigns_of<'a>(&'a self, ids: &'a [CampaignId]) -> Answer<'a, HashMap<CampaignId, Campaign>>;
    /// A campaign after the change of that number, asked once for all who watch.
    fn campaign_at(&self, id: CampaignId, change: u64) -> Answer<'_, Option<Arc<Campaign>>>;
    fn names<'a>(&'a self, ids: &'a [CampaignId]) -> Answer<'a, HashMap<CampaignId, String>>;
    fn lines<'a>(&'a self, id: CampaignId, filter: &'a LineFilter) -> Answer<'a, Vec<LedgerLine>>;
    fn stops(&self, id: CampaignId, limit: u32) -> Answer<'_, Vec<StateLine>>;
    fn audit<'a>(&'a self, filter: &'a AuditFilter) -> Answer<'a, Vec<AuditEntry>>;
    fn events<'a>(
        &'a self,
        filter: &'a EventFilter,
        order: Order,
        after: Option<&'a Cursor>,
        limit: u64,
    ) -> Answer<'a, Vec<Event>>;
    fn tail<'a>(&'a self, filter: &'a TailFilter) -> Answer<'a, Vec<Event>>;
    fn series<'a>(&'a self, series: &'a Series) -> Answer<'a, Vec<TimeseriesPoint>>;
    fn now(&self) -> BoxFuture<'_, Arc<Now>>;
    fn status(&self) -> BoxFuture<'_, Status>;
    fn quality(&self, span: Span) -> Answer<'_, Quality>;
    /// Where the statistics stand in each partition.
    fn written(&self) -> BTreeMap<LogId, Offset>;
    fn feed(&self) -> Feed;
    fn ticks(&self) -> watch::Receiver<u64>;
    fn time(&self) -> Micros;
    /// A place among the live tails; `None` when all are taken.
    fn tail_place(&self) -> Option<OwnedSemaphorePermit>;
    fn max_limit(&self) -> usize;
    fn max_points(&self) -> u64;
    fn max_range_days(&self) -> u32;
}

impl<L: Ledger> Sources for App<L> {
    fn campaigns<'a>(&'a self, wanted: &'a Wanted, limit: usize) -> Answer<'a, (Vec<Campaign>, bool)> {
        Box::pin(campaigns::list(self, wanted, limit))
    }

    fn campaigns_of<'a>(&'a self, ids: &'a [CampaignId]) -> Answer<'a, HashMap<CampaignId, Campaign>> {
        Box::pin(async move {
            let views = futures::future::try_join_all(ids.iter().map(|id| self.ledger.campaign(*id))).await?;
            let shown = campaigns::shown(self, views.into_iter().flatten().collect()).await;
            Ok(shown.into_iter().map(|c| (c.campaign_id, c)).collect())
        })
    }

    fn campaign_at(&self, id: CampaignId, change: u64) -> Answer<'_, Option<Arc<Campaign>>> {
        Box::pin(async move {
            let load = async { Ok::<_, Problem>(campaigns::one(self, id).await?.map(Arc::new)) };
            self.updates.try_get_with((id, change), load).await.map_err(|e| (*e).clone())
        })
    }

    fn names<'a>(&'a self, ids: &'a [CampaignId]) -> Answer<'a, HashMap<CampaignId, String>> {
        Box::pin(async move {
            let directory = campaigns::directory(self).await?;
            let name = |id: &CampaignId| Some((*id, directory.campaigns.get(id)?.name.clone()));
            Ok(ids.iter().filter_map(name).collect())
        })
    }

    fn lines<'a>(&'a self, id: CampaignId, filter: &'a LineFilter) -> Answer<'a, Vec<LedgerLine>> {
        Box::pin(async move { Ok(self.ledger.lines(id, filter).await?.into_iter().map(Into::into).collect()) })
    }

    fn stops(&self, id: CampaignId, limit: u32) -> Answer<'_, Vec<StateLine>> {
        Box::pin(async move { Ok(self.ledger.history(id, None, limit).await?.into_iter().map(Into::into).collect()) })
    }

    fn audit<'a>(&'a self, filter: &'a AuditFilter) -> Answer<'a, Vec<AuditEntry>> {
        Box::pin(async move { Ok(self.ledger.audit(filter).await?.into_iter().map(Into::into).collect()) })
    }

    fn events<'a>(
        &'a self,
        filter: &'a EventFilter,
        order: Order,
        after: Option<&'a Cursor>,
        limit: u64,
    ) -> Answer<'a, Vec<Event>> {
        Box::pin(async move { Ok(self.statistics.events(filter, order, after, limit).await?) })
    }

    fn tail<'a>(&'a self, filter: &'a TailFilter) -> Answer<'a, Vec<Event>> {
        Box::pin(async move { Ok(self.statistics.tail(filter).await?) })
    }

    fn series<'a>(&'a self, series: &'a Series) -> Answer<'a, Vec<TimeseriesPoint>> {
        Box::pin(async move {
            if series.campaign_id != 0 && self.ledger.campaign(series.campaign_id).await?.is_none() {
                let detail = format!("there is no campaign {}", series.campaign_id);
                return Err(Problem::new(Code::CampaignNotFound, detail));
            }
            Ok(self.statistics.series(series).await?.rows)
        })
    }

    fn now(&self) -> BoxFuture<'_, Arc<Now>> {
        Box::pin(standing::now(self))
    }

    fn status(&self) -> BoxFuture<'_, Status> {
        Box::pin(async move { standing::ask(self).await.status() })
    }

    fn quality(&self, span: Span) -> Answer<'_, Quality> {
        Box::pin(quality::quality(self, span))
    }

    fn written(&self) -> BTreeMap<LogId, Offset> {
        let positions = self.live.positions().into_iter();
        positions.filter(|((sink, _), _)| sink.name() == "statistics").map(|((_, log), at)| (log, at)).collect()
    }

    fn feed(&self) -> Feed {
        self.feed.clone()
    }

    fn ticks(&self) -> watch::Receiver<u64> {
        self.sampler.ticks()
    }

    fn time(&self) -> Micros {
        self.clock.now()
    }

    fn tail_place(&self) -> Option<OwnedSemaphorePermit> {
        self.tails.clone().try_acquire_owned().ok()
    }

    fn max_limit(&self) -> usize {
        self.settings.max_limit
    }

    fn max_points(&self) -> u64 {
        self.settings.max_points
    }

    fn max_range_days(&self) -> u32 {
        self.settings.max_range_days
    }
}
