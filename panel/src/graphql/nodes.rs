//! What GraphQL answers with: the API's own types under GraphQL's names. Amounts are strings, times
//! RFC 3339 in UTC.

use super::sources::Sources;
use super::{DEFAULT_FIRST, MOST_FIRST, failed, first, span};
use crate::api::types::{self, Campaign, Event, Kpis, Now};
use crate::statistics::Series;
use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Json, Object, Result, SimpleObject};
use penstock::ledger::{AuditFilter, LineFilter};
use penstock::pricing::CampaignId;
use std::collections::HashMap;
use std::sync::Arc;

/// The sources of this process.
pub(super) fn sources<'a>(ctx: &Context<'a>) -> Result<&'a Arc<dyn Sources>> {
    ctx.data::<Arc<dyn Sources>>()
}

/// Loads campaigns that many rows of one answer name, in one go.
pub(super) struct CampaignLoader(pub(super) Arc<dyn Sources>);

impl async_graphql::dataloader::Loader<CampaignId> for CampaignLoader {
    type Value = CampaignNode;
    type Error = String;

    async fn load(&self, ids: &[CampaignId]) -> Result<HashMap<CampaignId, CampaignNode>, String> {
        let found = self.0.campaigns_of(ids).await.map_err(|e| e.to_string())?;
        Ok(found.into_iter().map(|(id, campaign)| (id, CampaignNode(campaign))).collect())
    }
}

/// Events by type.
#[derive(SimpleObject, Clone, Copy)]
#[graphql(name = "Kpis")]
pub(super) struct KpisNode {
    visits: u64,
    impressions: u64,
    clicks: u64,
    conversions: u64,
}

impl From<Kpis> for KpisNode {
    fn from(k: Kpis) -> Self {
        KpisNode { visits: k.visits, impressions: k.impressions, clicks: k.clicks, conversions: k.conversions }
    }
}

/// One reason why a campaign is stopped.
#[derive(SimpleObject)]
#[graphql(name = "Stop")]
pub(super) struct StopNode {
    reason: String,
    since: String,
    who: String,
    note: String,
}

/// One state of a campaign as ad servers were told.
#[derive(SimpleObject)]
#[graphql(name = "CampaignState")]
pub(super) struct StateNode {
    version: u64,
    time: String,
    serving: bool,
    reasons: Vec<String>,
    cause_received: Option<String>,
}

/// What was charged in one hour for events of one type.
#[derive(SimpleObject)]
#[graphql(name = "LedgerLine")]
pub(super) struct LineNode {
    hour: String,
    event_type: String,
    events: u64,
    cost_nanos: String,
}

/// One change that somebody made.
#[derive(SimpleObject)]
#[graphql(name = "AuditEntry")]
pub(super) struct AuditNode {
    id: u64,
    time: String,
    who: String,
    action: String,
    subject: String,
    before: Json<serde_json::Value>,
    after: Json<serde_json::Value>,
    why: String,
}

/// One step of a time series.
#[derive(SimpleObject)]
#[graphql(name = "TimeseriesPoint")]
pub(super) struct PointNode {
    time: String,
    kpis: KpisNode,
    cost_nanos: String,
}

impl From<types::TimeseriesPoint> for PointNode {
    fn from(p: types::TimeseriesPoint) -> Self {
        PointNode { time: p.time.to_string(), kpis: p.kpis.into(), cost_nanos: p.cost_nanos.to_string() }
    }
}

/// A campaign with its money.
#[derive(Clone)]
pub(super) struct CampaignNode(pub(super) Campaign);

#[Object(name = "Campaign")]
impl CampaignNode {
    async fn campaign_id(&self) -> u32 {
        self.0.campaign_id
    }
    async fn name(&self) -> &str {
        &self.0.name
    }
    async fn advertiser_id(&self) -> u32 {
        self.0.advertiser_id
    }
    async fn advertiser_name(&self) -> &str {
        &self.0.advertiser_name
    }
    async fn currency(&self) -> &str {
        &self.0.currency
    }
    async fn time_zone(&self) -> &str {
        &self.0.time_zone
    }
    /// `serving` or `stopped`.
    async fn status(&self) -> &str {
        &self.0.status
    }
    async fn serving(&self) -> bool {
        self.0.reasons.is_empty()
    }
    async fn reasons(&self) -> &[String] {
        &self.0.reasons
    }
    /// The reasons with since when, who and why.
    async fn stopped_by(&self) -> Vec<StopNode> {
        let node = |s: &types::Stop| StopNode {
            reason: s.reason.clone(),
            since: s.since.to_string(),
            who: s.who.clone(),
            note: s.note.clone(),
        };
        self.0.stops.iter().map(node).collect()
    }
    async fn total_budget_micros(&self) -> Option<String> {
        self.0.total_budget_micros.map(|a| a.0.to_string())
    }
    async fn daily_budget_micros(&self) -> Option<String> {
        self.0.daily_budget_micros.map(|a| a.0.to_string())
    }
    async fn balance_micros(&self) -> Option<String> {
        self.0.balance_micros.map(|a| a.0.to_string())
    }
    async fn spent_nanos(&self) -> String {
        self.0.spent_nanos.0.to_string()
    }
    async fn spent_today_nanos(&self) -> String {
        self.0.spent_today_nanos.0.to_string()
    }
    async fn adjusted_nanos(&self) -> String {
        self.0.adjusted_nanos.0.to_string()
    }
    async fn overspend_nanos(&self) -> String {
        self.0.overspend_nanos.0.to_string()
    }
    async fn spend_per_hour_nanos(&self) -> Option<String> {
        self.0.spend_per_hour_nanos.map(|s| s.to_string())
    }
    async fn exhausted_at(&self) -> Option<String> {
        self.0.exhausted_at.map(|t| t.to_string())
    }
    async fn overspend_bound_nanos(&self) -> Option<String> {
        self.0.overspend_bound_nanos.map(|s| s.to_string())
    }
    async fn kpis(&self) -> KpisNode {
        self.0.kpis.into()
    }

    /// What it was charged by hour and type, the newest hour first.
    #[graphql(complexity = "first.unwrap_or(DEFAULT_FIRST) as usize * child_complexity")]
    async fn ledger(&self, ctx: &Context<'_>, first: Option<u32>) -> Result<Vec<LineNode>> {
        let limit = self::first(first, MOST_FIRST)?;
        let filter = LineFilter { from: i64::MIN, to: i64::MAX, after: None, limit };
        let lines = sources(ctx)?.lines(self.0.campaign_id, &filter).await.map_err(failed)?;
        let node = |l: types::LedgerLine| LineNode {
            hour: l.hour.to_string(),
            event_type: l.event_type,
            events: l.events,
            cost_nanos: l.cost_nanos.0.to_string(),
        };
        Ok(lines.into_iter().map(node).collect())
    }

    /// What ad servers were told of it, the newest first.
    #[graphql(complexity = "first.unwrap_or(DEFAULT_FIRST) as usize * child_complexity")]
    async fn stops(&self, ctx: &Context<'_>, first: Option<u32>) -> Result<Vec<StateNode>> {
        let limit = self::first(first, MOST_FIRST)?;
        let states = sources(ctx)?.stops(self.0.campaign_id, limit).await.map_err(failed)?;
        let node = |s: types::StateLine| StateNode {
            version: s.version,
            time: s.time.to_string(),
            serving: s.serving,
            reasons: s.reasons,
            cause_received: s.cause_received.map(|t| t.to_string()),
        };
        Ok(states.into_iter().map(node).collect())
    }

    /// Who changed it, the newest first.
    #[graphql(complexity = "first.unwrap_or(DEFAULT_FIRST) as usize * child_complexity")]
    async fn audit(&self, ctx: &Context<'_>, first: Option<u32>) -> Result<Vec<AuditNode>> {
        let limit = self::first(first, MOST_FIRST)?;
        let subject = Some(format!("campaign {}", self.0.campaign_id));
        let filter = AuditFilter { subject, limit, ..AuditFilter::default() };
        let rows = sources(ctx)?.audit(&filter).await.map_err(failed)?;
        let node = |a: types::AuditEntry| AuditNode {
            id: a.id,
            time: a.time.to_string(),
            who: a.who,
            action: a.action,
            subject: a.subject,
            before: Json(a.before),
            after: Json(a.after),
            why: a.why,
        };
        Ok(rows.into_iter().map(node).collect())
    }

    /// Figures by steps of time; `step` in seconds, whole minutes.
    #[graphql(complexity = "100 + child_complexity")]
    async fn timeseries(
        &self,
        ctx: &Context<'_>,
        start_time: Option<String>,
        end_time: Option<String>,
        step: Option<u64>,
    ) -> Result<Vec<PointNode>> {
        series(ctx, self.0.campaign_id, start_time, end_time, step).await
    }
}

/// A campaign's series within the bounds that REST has.
pub(super) async fn series(
    ctx: &Context<'_>,
    campaign_id: CampaignId,
    start_time: Option<String>,
    end_time: Option<String>,
    step: Option<u64>,
) -> Result<Vec<PointNode>> {
    let sources = sources(ctx)?;
    let step = step.unwrap_or(3_600);
    let span = span(start_time, end_time)?;
    let limit = sources.max_points();
    let series = Series::within(campaign_id, span, step, limit).map_err(failed)?;
    let points = sources.series(&series).await.map_err(failed)?;
    Ok(points.into_iter().map(PointNode::from).collect())
}

/// One event.
pub(super) struct EventNode(pub(super) Event);

#[Object(name = "Event")]
impl EventNode {
    async fn id(&self) -> &str {
        &self.0.id
    }
    #[graphql(name = "type")]
    async fn event_type(&self) -> &str {
        &self.0.event_type
    }
    async fn time(&self) -> String {
        self.0.time.to_string()
    }
    async fn received(&self) -> String {
        self.0.received.to_string()
    }
    async fn server(&self) -> &str {
        &self.0.server
    }
    async fn campaign_id(&self) -> u32 {
        self.0.campaign_id
    }
    async fn cost_nanos(&self) -> String {
        self.0.cost_nanos.0.to_string()
    }
    /// Further columns that are not empty, by name.
    async fn payload(&self) -> Json<&std::collections::BTreeMap<String, serde_json::Value>> {
        Json(&self.0.payload)
    }
    async fn log(&self) -> &str {
        &self.0.log
    }
    async fn partition(&self) -> u32 {
        self.0.partition
    }
    async fn offset(&self) -> u64 {
        self.0.offset
    }
    /// The campaign it was attributed to.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Option<CampaignNode>> {
        if self.0.campaign_id == 0 {
            return Ok(None);
        }
        let loader = ctx.data::<DataLoader<CampaignLoader>>()?;
        loader.load_one(self.0.campaign_id).await.map_err(async_graphql::Error::new)
    }
}

/// Events a second by type.
#[derive(SimpleObject)]
#[graphql(name = "Rates")]
pub(super) struct RatesNode {
    impression: f64,
    visit: f64,
    click: f64,
    conversion: f64,
}

/// Median and 99th percentile.
#[derive(SimpleObject)]
#[graphql(name = "Percentiles")]
pub(super) struct PercentilesNode {
    p50: f64,
    p99: f64,
}

/// What happens this second; the same as `GET /api/v1/now` without its history.
#[derive(SimpleObject)]
#[graphql(name = "Now")]
pub(super) struct NowNode {
    time: String,
    health: String,
    rates: RatesNode,
    rejected_per_second: f64,
    ack_ms: Option<PercentilesNode>,
    stop_latency_ms: Option<PercentilesNode>,
    dead_total: u64,
    spool: Option<Json<types::SpoolNow>>,
    sinks: Json<Vec<types::SinkNow>>,
    stops: Json<Vec<types::StopNow>>,
    roles: Json<Vec<types::RoleStatus>>,
}

impl From<&Now> for NowNode {
    fn from(n: &Now) -> Self {
        let percentiles = |p: types::Percentiles| PercentilesNode { p50: p.p50, p99: p.p99 };
        let types::Rates { impression, visit, click, conversion } = n.rates;
        NowNode {
            time: n.time.to_string(),
            health: format!("{:?}", n.health).to_lowercase(),
            rates: RatesNode { impression, visit, click, conversion },
            rejected_per_second: n.rejected_per_second,
            ack_ms: n.ack_ms.map(percentiles),
            stop_latency_ms: n.stop_latency_ms.map(percentiles),
            dead_total: n.dead_total,
            spool: n.spool.clone().map(Json),
            sinks: Json(n.sinks.clone()),
            stops: Json(n.stops.clone()),
            roles: Json(n.roles.clone()),
        }
    }
}
