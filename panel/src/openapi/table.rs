//! What the document says of each route: one entry a route, in the order of the table of roles.

use super::params::{CAMPAIGN, CURSOR, END, FILTER, GROUP_BY, LIMIT, MEASURES, ORDER_BY, P, START, STEP, TYPE, Takes};
use super::{Body, Given};
use crate::access::session::Session;
use crate::access::tokens::{MadeToken, Token};
use crate::access::users::User;
use crate::api::types::{
    AbReport, AdjustmentLine, AuditEntry, Budget, Campaign, CatalogueImported, Change, DeadLetter, DimensionValue,
    Event, FunnelReport, Gap, GapSkipRequest, LedgerLine, Now, Placed, Quality, ReconcileRequest, Reconciliation,
    ReplayReport, ReplayRequest, RetentionReport, StateLine, Status, Table, TimeseriesPoint, TopRow, UniqueUsers,
    Window,
};

/// One route.
pub(super) struct Entry {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) tag: &'static str,
    pub(super) about: &'static str,
    pub(super) params: &'static [P],
    pub(super) body: Given,
    pub(super) answer: Body,
}

const fn get(path: &'static str, tag: &'static str, about: &'static str, params: &'static [P], answer: Body) -> Entry {
    Entry { method: "GET", path, tag, about, params, body: Given::Nothing, answer }
}

const fn change(
    method: &'static str,
    path: &'static str,
    tag: &'static str,
    about: &'static str,
    body: Given,
    answer: Body,
) -> Entry {
    Entry { method, path, tag, about, params: &[], body, answer }
}

const EVENTS: &[P] = &[
    TYPE,
    CAMPAIGN,
    START,
    END,
    ("id", Takes::Uuid, "Only this id."),
    ("user_id", Takes::Text, "Only of this user."),
    ("tag", Takes::Text, "Only with this tag."),
    ("country", Takes::Text, "Only from this country."),
    ("click_id", Takes::Text, "Only of this click."),
    ("impression_id", Takes::Text, "Only of this impression."),
    ("server", Takes::Text, "Only from this ad server."),
    ("site_id", Takes::Text, "Only of this site."),
    ("order", Takes::Word(&["asc", "desc"]), "The oldest first, or the newest."),
    LIMIT,
    CURSOR,
];
const TOKENS: &str = r#"{"name":"reports","role":"viewer","expires":null}"#;
const USERS: &str = r#"{"name":"ana","role":"operator","password":"at least twelve"}"#;
const USER: &str = r#"{"role":"viewer","disabled":true}"#;
const LOGIN: &str = r#"{"name":"ana","password":"at least twelve"}"#;
const PASSWORD: &str = r#"{"current":"the old one","new":"at least twelve"}"#;
const QUESTION: &str = r#"{"query":"{ campaign(id: 1002) { name kpis { clicks } } }"}"#;

/// All routes.
pub(super) static TABLE: &[Entry] = &[
    get("/healthz", "Health", "Whether the process answers.", &[], Body::Json),
    get("/readyz", "Health", "Whether ledger and ClickHouse answer; 503 says which does not.", &[], Body::Json),
    get(
        "/metrics",
        "Health",
        "All that this process counts, as OpenMetrics.",
        &[],
        Body::Text("application/openmetrics-text"),
    ),
    get("/graphql", "GraphQL", "The schema as text, or the begin of a WebSocket.", &[], Body::Text("text/plain")),
    change("POST", "/graphql", "GraphQL", "One question.", Given::Example(QUESTION), Body::Json),
    get("/api/v1/openapi.json", "Health", "This document.", &[], Body::Json),
    get("/api/v1/session", "Access", "Who is logged in, and how one logs in.", &[], Body::answer::<Session>()),
    change("POST", "/api/v1/session", "Access", "Logs in.", Given::Example(LOGIN), Body::answer::<Session>()),
    change("DELETE", "/api/v1/session", "Access", "Logs out.", Given::Nothing, Body::answer::<Session>()),
    change(
        "PUT",
        "/api/v1/session/password",
        "Access",
        "Changes one's password.",
        Given::Example(PASSWORD),
        Body::answer::<Session>(),
    ),
    get("/api/v1/session/oidc", "Access", "Sends a browser to the identity provider.", &[], Body::Elsewhere),
    get(
        "/api/v1/session/oidc/callback",
        "Access",
        "Where the identity provider sends it back.",
        &[
            ("code", Takes::Text, "Its answer."),
            ("state", Takes::Text, "What we had sent."),
            ("error", Takes::Text, "Why it refused."),
        ],
        Body::Elsewhere,
    ),
    get("/api/v1/users", "Access", "Everybody who may log in.", &[], Body::page::<User>()),
    change("POST", "/api/v1/users", "Access", "One more.", Given::Example(USERS), Body::answer::<User>()),
    change(
        "PUT",
        "/api/v1/users/{name}",
        "Access",
        "Changes role, password, or whether they may log in.",
        Given::Example(USER),
        Body::answer::<User>(),
    ),
    change("DELETE", "/api/v1/users/{name}", "Access", "One less.", Given::Nothing, Body::Json),
    get("/api/v1/tokens", "Access", "Tokens of programs.", &[], Body::page::<Token>()),
    change(
        "POST",
        "/api/v1/tokens",
        "Access",
        "One more; it is shown this once.",
        Given::Example(TOKENS),
        Body::answer::<MadeToken>(),
    ),
    change("DELETE", "/api/v1/tokens/{id}", "Access", "One less.", Given::Nothing, Body::Json),
    get("/api/v1/now", "Now", "What happens this second, and the last 300.", &[], Body::answer::<Now>()),
    get(
        "/api/v1/status",
        "Now",
        "How everything stands. Never fails: what does not answer is shown as down.",
        &[],
        Body::of::<Status>(),
    ),
    get(
        "/api/v1/windows",
        "Events",
        "Events in windows of ten seconds of their own time, the newest first.",
        &[START, END, TYPE, LIMIT, CURSOR],
        Body::page::<Window>(),
    ),
    get("/api/v1/events", "Events", "Events one by one.", EVENTS, Body::page::<Event>()),
    get("/api/v1/events/count", "Events", "How many.", &[TYPE, CAMPAIGN, START, END], Body::COUNT),
    get(
        "/api/v1/events/{id}",
        "Events",
        "All that was delivered under an id, and where it lies.",
        &[START, END],
        Body::answers::<Placed>(),
    ),
    get(
        "/api/v1/campaigns",
        "Campaigns",
        "Campaigns by number, with their money.",
        &[
            ("status", Takes::Word(&["serving", "stopped"]), "Only these."),
            ("advertiser_id", Takes::Number(0, u32::MAX as u64), "Only of this advertiser."),
            ("search", Takes::Text, "Only with this in the name."),
            LIMIT,
            CURSOR,
        ],
        Body::page::<Campaign>(),
    ),
    get("/api/v1/campaigns/{id}", "Campaigns", "One campaign.", &[], Body::of::<Campaign>()),
    get(
        "/api/v1/campaigns/{id}/timeseries",
        "Campaigns",
        "Its figures by steps of whole minutes; steps without events are left out.",
        &[START, END, STEP],
        Body::page::<TimeseriesPoint>(),
    ),
    get(
        "/api/v1/campaigns/{id}/ledger",
        "Campaigns",
        "What it was charged by hour and type, the newest first.",
        &[START, END, LIMIT, CURSOR],
        Body::page::<LedgerLine>(),
    ),
    get(
        "/api/v1/campaigns/{id}/adjustments",
        "Campaigns",
        "Corrections by hand, the newest first.",
        &[LIMIT],
        Body::page::<AdjustmentLine>(),
    ),
    get(
        "/api/v1/campaigns/{id}/stops",
        "Campaigns",
        "What ad servers were told of it, the newest first.",
        &[LIMIT, CURSOR],
        Body::page::<StateLine>(),
    ),
    change(
        "POST",
        "/api/v1/campaigns/{id}/stop",
        "Campaigns",
        "Stops it.",
        Given::of::<Change>(),
        Body::of::<Campaign>(),
    ),
    change(
        "POST",
        "/api/v1/campaigns/{id}/resume",
        "Campaigns",
        "Takes the reason `operator` away.",
        Given::of::<Change>(),
        Body::of::<Campaign>(),
    ),
    change(
        "PUT",
        "/api/v1/campaigns/{id}/budget",
        "Campaigns",
        "Sets budgets; `null` takes one away, one left out stays.",
        Given::of::<Budget>(),
        Body::of::<Campaign>(),
    ),
    get(
        "/api/v1/explore",
        "Explore",
        "A table over any dimensions.",
        &[START, END, GROUP_BY, MEASURES, FILTER, STEP, ORDER_BY, LIMIT],
        Body::answer::<Table>(),
    ),
    get(
        "/api/v1/explore/export",
        "Explore",
        "The same as a file, with up to `panel.max_export_rows` rows.",
        &[
            START,
            END,
            GROUP_BY,
            MEASURES,
            FILTER,
            STEP,
            ORDER_BY,
            ("limit", Takes::Number(1, 1_000_000), "Most rows."),
            ("format", Takes::Word(&["csv", "parquet", "json"]), "CSV unless given; `json` is one object a line."),
        ],
        Body::File,
    ),
    get(
        "/api/v1/dimensions/{dim}/values",
        "Explore",
        "The commonest values of a dimension.",
        &[START, END, ("search", Takes::Text, "Only with this in them."), LIMIT],
        Body::page::<DimensionValue>(),
    ),
    get(
        "/api/v1/analytics/users",
        "Explore",
        "Different users by step and in all.",
        &[START, END, STEP, FILTER],
        Body::answer::<UniqueUsers>(),
    ),
    get(
        "/api/v1/analytics/funnel",
        "Explore",
        "Users that go through steps in their order within a window.",
        &[
            START,
            END,
            FILTER,
            ("steps", Takes::Text, "2 to 8 event types with commas between them."),
            ("window", Takes::Duration, "From the first step to the last; 1h unless given."),
            ("by", Takes::Text, "One funnel a value of this dimension besides."),
        ],
        Body::answer::<FunnelReport>(),
    ),
    get(
        "/api/v1/analytics/retention",
        "Explore",
        "Of those who came first in one period, how many come again.",
        &[
            START,
            END,
            FILTER,
            ("first", Takes::Word(&["impression", "visit", "click", "conversion"]), "What makes somebody come."),
            ("return", Takes::Word(&["impression", "visit", "click", "conversion"]), "What counts as coming again."),
            ("unit", Takes::Word(&["day", "week", "month"]), "Length of a period."),
            ("periods", Takes::Number(1, 31), "How many, the first included."),
        ],
        Body::answer::<RetentionReport>(),
    ),
    get(
        "/api/v1/analytics/ab",
        "Explore",
        "Variations against each other, by a test of two proportions.",
        &[
            START,
            END,
            FILTER,
            CAMPAIGN,
            (
                "metric",
                Takes::Word(&["clicks_per_impression", "conversions_per_click", "conversions_per_user"]),
                "What is compared.",
            ),
            ("control", Takes::Text, "What the others are compared with; the one with most trials unless given."),
            ("confidence", Takes::Word(&["0.9", "0.95", "0.99", "0.999"]), "Level of intervals and tests."),
        ],
        Body::answer::<AbReport>(),
    ),
    get(
        "/api/v1/analytics/top",
        "Explore",
        "The values of a dimension with the highest figures.",
        &[
            START,
            END,
            FILTER,
            ("dimension", Takes::Text, "`campaign_id` unless given."),
            ("measure", Takes::Text, "`events` unless given."),
            LIMIT,
        ],
        Body::page::<TopRow>(),
    ),
    get(
        "/api/v1/quality",
        "Quality",
        "What was put away, came twice, late, or for nobody.",
        &[START, END],
        Body::answer::<Quality>(),
    ),
    change(
        "POST",
        "/api/v1/reconcile",
        "Quality",
        "Holds log, archive, statistics and ledger against each other.",
        Given::of::<ReconcileRequest>(),
        Body::of::<Reconciliation>(),
    ),
    get("/api/v1/catalogue", "Catalogue", "Advertisers, campaigns and tags.", &[], Body::Json),
    change(
        "PUT",
        "/api/v1/catalogue",
        "Catalogue",
        "Takes a catalogue in, all or nothing.",
        Given::Object,
        Body::of::<CatalogueImported>(),
    ),
    change("POST", "/api/v1/catalogue", "Catalogue", "The same.", Given::Object, Body::of::<CatalogueImported>()),
    get(
        "/api/v1/dead",
        "Quality",
        "Dead letters.",
        &[("sink", Takes::Text, "Only of this sink."), ("code", Takes::Text, "Only with this reason."), LIMIT, CURSOR],
        Body::page::<DeadLetter>(),
    ),
    change(
        "POST",
        "/api/v1/dead/replay",
        "Quality",
        "Appends the records of dead letters to their log again, where that counts nothing twice.",
        Given::of::<ReplayRequest>(),
        Body::of::<ReplayReport>(),
    ),
    get("/api/v1/dead/{id}", "Quality", "One letter with its record.", &[], Body::of::<DeadLetter>()),
    get("/api/v1/gaps", "Quality", "Offsets that retention took before a sink had them.", &[], Body::page::<Gap>()),
    change(
        "POST",
        "/api/v1/gaps/skip",
        "Quality",
        "Lets a sink pass a gap: what is gone stays missing there.",
        Given::of::<GapSkipRequest>(),
        Body::of::<Gap>(),
    ),
    get(
        "/api/v1/audit",
        "Access",
        "Who changed what, the newest first.",
        &[
            ("subject", Takes::Text, "Only of this, e.g. `campaign 1002`."),
            ("who", Takes::Text, "Only by this person."),
            ("action", Takes::Text, "Only this kind."),
            LIMIT,
            CURSOR,
        ],
        Body::page::<AuditEntry>(),
    ),
];
