//! Questions.

use super::nodes::{CampaignNode, EventNode, NowNode, PointNode, series, sources};
use super::{DEFAULT_FIRST, failed, first, refused, span};
use crate::api::problem::{Code, Problem};
use crate::api::types;
use crate::campaigns::Wanted;
use crate::statistics::{Cursor, EventFilter, Order, TEXTS};
use async_graphql::{Context, InputObject, Json, Object, Result, SimpleObject};
use penstock::ledger::Status;

/// Which campaigns.
#[derive(InputObject, Default)]
struct CampaignsFilter {
    /// `serving` or `stopped`.
    status: Option<String>,
    advertiser_id: Option<u32>,
    /// Part of the name.
    search: Option<String>,
}

/// Which events.
#[derive(InputObject, Default)]
struct EventsFilter {
    #[graphql(name = "type")]
    event_type: Option<String>,
    campaign_id: Option<u32>,
    start_time: Option<String>,
    end_time: Option<String>,
    id: Option<String>,
    user_id: Option<String>,
    tag: Option<String>,
    country: Option<String>,
    click_id: Option<String>,
    impression_id: Option<String>,
    server: Option<String>,
    site_id: Option<String>,
}

/// A page of campaigns.
#[derive(SimpleObject)]
struct CampaignPage {
    nodes: Vec<CampaignNode>,
    /// Pass it as `after` to get what follows; null at the end.
    next: Option<String>,
}

/// A page of events.
#[derive(SimpleObject)]
struct EventPage {
    nodes: Vec<EventNode>,
    /// Pass it as `after` to get what follows; null at the end.
    next: Option<String>,
}

/// All that can be asked.
pub(crate) struct Query;

#[Object]
impl Query {
    /// Campaigns by number.
    #[graphql(complexity = "first.unwrap_or(DEFAULT_FIRST) as usize * child_complexity")]
    async fn campaigns(
        &self,
        ctx: &Context<'_>,
        filter: Option<CampaignsFilter>,
        first: Option<u32>,
        after: Option<String>,
    ) -> Result<CampaignPage> {
        let sources = sources(ctx)?;
        let limit = self::first(first, sources.max_limit())? as usize;
        let filter = filter.unwrap_or_default();
        let status = match filter.status.as_deref() {
            None => None,
            Some("serving") => Some(Status::Serving),
            Some("stopped") => Some(Status::Stopped),
            Some(_) => return Err(refused("filter.status", "must be serving or stopped")),
        };
        let after = after.map(|a| a.parse().map_err(|_| cursor())).transpose()?;
        let wanted = Wanted { after, status, advertiser: filter.advertiser_id, search: filter.search };
        let (found, more) = sources.campaigns(&wanted, limit).await.map_err(failed)?;
        let next = found.last().filter(|_| more).map(|c| c.campaign_id.to_string());
        Ok(CampaignPage { nodes: found.into_iter().map(CampaignNode).collect(), next })
    }

    /// One campaign.
    async fn campaign(&self, ctx: &Context<'_>, id: u32) -> Result<Option<CampaignNode>> {
        let mut found = sources(ctx)?.campaigns_of(&[id]).await.map_err(failed)?;
        Ok(found.remove(&id).map(CampaignNode))
    }

    /// Events by time; `newest: true` turns the order round.
    #[graphql(complexity = "first.unwrap_or(DEFAULT_FIRST) as usize * child_complexity")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        filter: Option<EventsFilter>,
        first: Option<u32>,
        after: Option<String>,
        newest: Option<bool>,
    ) -> Result<EventPage> {
        let sources = sources(ctx)?;
        let limit = self::first(first, sources.max_limit())?;
        let filter = events_filter(filter.unwrap_or_default())?;
        crate::api::narrow(filter.span, sources.max_range_days()).map_err(failed)?;
        let after = after.map(|a| Cursor::decode(&a).ok_or_else(cursor)).transpose()?;
        let order = if newest == Some(true) { Order::Newest } else { Order::Oldest };
        let asked = sources.events(&filter, order, after.as_ref(), u64::from(limit) + 1).await;
        let mut events = asked.map_err(failed)?;
        let more = events.len() > limit as usize;
        events.truncate(limit as usize);
        let next = events.last().filter(|_| more).and_then(Cursor::behind).map(|c| c.encode());
        Ok(EventPage { nodes: events.into_iter().map(EventNode).collect(), next })
    }

    /// A campaign's figures by steps of time (0 = what could not be attributed); `step` in seconds.
    #[graphql(complexity = "100 + child_complexity")]
    async fn timeseries(
        &self,
        ctx: &Context<'_>,
        campaign_id: u32,
        start_time: Option<String>,
        end_time: Option<String>,
        step: Option<u64>,
    ) -> Result<Vec<PointNode>> {
        series(ctx, campaign_id, start_time, end_time, step).await
    }

    /// What happens this second.
    async fn now(&self, ctx: &Context<'_>) -> Result<NowNode> {
        Ok(NowNode::from(&*sources(ctx)?.now().await))
    }

    /// How everything stands; the same as `GET /api/v1/status`.
    async fn status(&self, ctx: &Context<'_>) -> Result<Json<types::Status>> {
        Ok(Json(sources(ctx)?.status().await))
    }

    /// Whether data can be trusted; the same as `GET /api/v1/quality`.
    #[graphql(complexity = "500")]
    async fn quality(&self, ctx: &Context<'_>, start_time: String, end_time: String) -> Result<Json<types::Quality>> {
        let sources = sources(ctx)?;
        let span = span(Some(start_time), Some(end_time))?;
        crate::api::narrow(span, sources.max_range_days()).map_err(failed)?;
        Ok(Json(sources.quality(span).await.map_err(failed)?))
    }
}

fn cursor() -> async_graphql::Error {
    failed(Problem::new(Code::BadCursor, "pass next of the page before, as it is").at("after"))
}

fn events_filter(f: EventsFilter) -> Result<EventFilter> {
    let event_type = match f.event_type {
        None => None,
        Some(name) => {
            let found = penstock::event::by_name(&name).map(|t| t.name);
            Some(found.ok_or_else(|| refused("filter.type", "there is no event type of that name"))?)
        }
    };
    let id = match f.id {
        None => None,
        Some(id) => Some(uuid::Uuid::try_parse(&id).map_err(|_| refused("filter.id", "must be a UUID"))?),
    };
    let given = [f.user_id, f.tag, f.country, f.click_id, f.impression_id, f.server, f.site_id];
    let texts = TEXTS.iter().zip(given).filter_map(|((name, _), value)| Some((*name, value?))).collect();
    let span = span(f.start_time, f.end_time)?;
    Ok(EventFilter { event_type, campaign_id: f.campaign_id, span, id, texts })
}
