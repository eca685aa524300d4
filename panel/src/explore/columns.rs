//! What can be grouped by and what can be measured, each with its fixed SQL.
//!
//! The one thing to know: all SQL is here, as constants. A request only chooses among them.

/// One thing to group and filter by.
#[derive(Debug, PartialEq, Eq)]
pub struct Dimension {
    /// As requests and answers name it.
    pub name: &'static str,
    /// Inside, over events: the value under its inner name.
    pub(super) inner: &'static str,
    /// The same over the minutes' roll-up; `None` when that does not have it.
    pub(super) rolled: Option<&'static str>,
    /// The inner name.
    pub(super) alias: &'static str,
    /// Outside: the inner name under the name of the answer.
    pub(super) outer: &'static str,
    /// For conditions; `None` when the time range says it, or the campaign's owner.
    pub(super) column: Option<&'static str>,
    /// A number, not a text.
    pub(super) number: bool,
    /// What [`Owners`](super::Owners) know of the campaign.
    pub(super) owner: bool,
}

/// The dimension of an account's currency.
pub(super) const CURRENCY: &str = "currency";

macro_rules! text {
    ($name:literal, $rolled:expr) => {
        Dimension {
            name: $name,
            inner: concat!($name, " AS d_", $name),
            rolled: if $rolled { Some(concat!($name, " AS d_", $name)) } else { None },
            alias: concat!("d_", $name),
            outer: concat!("toString(d_", $name, ") AS ", $name),
            column: Some($name),
            number: false,
            owner: false,
        }
    };
}

impl Dimension {
    /// The column of the events; `None` for parts of time.
    #[must_use]
    pub const fn column(&self) -> Option<&'static str> {
        self.column
    }

    /// Whether the ledger has to say whose campaigns are.
    #[must_use]
    pub const fn asks_owners(&self) -> bool {
        self.owner
    }
}

/// All dimensions.
pub static DIMENSIONS: [Dimension; 16] = [
    text!("type", true),
    Dimension {
        name: "campaign_id",
        inner: "campaign_id AS d_campaign_id",
        rolled: Some("campaign_id AS d_campaign_id"),
        alias: "d_campaign_id",
        outer: "d_campaign_id AS campaign_id",
        column: Some("campaign_id"),
        number: true,
        owner: false,
    },
    Dimension {
        name: "advertiser_id",
        inner: "transform(campaign_id, owned, payers, toUInt32(0)) AS d_advertiser_id",
        rolled: Some("transform(campaign_id, owned, payers, toUInt32(0)) AS d_advertiser_id"),
        alias: "d_advertiser_id",
        outer: "d_advertiser_id AS advertiser_id",
        column: None,
        number: true,
        owner: true,
    },
    Dimension {
        name: CURRENCY,
        inner: "arrayElement(names, transform(campaign_id, owned, moneys, toUInt32(1))) AS d_currency",
        rolled: Some("arrayElement(names, transform(campaign_id, owned, moneys, toUInt32(1))) AS d_currency"),
        alias: "d_currency",
        outer: "toString(d_currency) AS currency",
        column: None,
        number: false,
        owner: true,
    },
    text!("tag", false),
    text!("variation_id", false),
    text!("site_id", false),
    text!("zone_id", false),
    text!("country", true),
    text!("device", false),
    text!("os", false),
    text!("server", false),
    text!("goal", false),
    text!("user_id", false),
    Dimension {
        name: "hour",
        inner: "toStartOfHour(time) AS d_hour",
        rolled: Some("toStartOfHour(minute) AS d_hour"),
        alias: "d_hour",
        outer: "formatDateTime(d_hour, '%Y-%m-%dT%H:00:00Z', 'UTC') AS hour",
        column: None,
        number: false,
        owner: false,
    },
    Dimension {
        name: "day",
        inner: "toDate(time, 'UTC') AS d_day",
        rolled: Some("toDate(minute, 'UTC') AS d_day"),
        alias: "d_day",
        outer: "toString(d_day) AS day",
        column: None,
        number: false,
        owner: false,
    },
];

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things: a number.
    Count,
    /// 10⁻⁹ of the account's currency: a string.
    Nanos,
    /// 10⁻⁶ of the account's currency: a string.
    Micros,
    /// One figure over another: a number, `null` when there is nothing to divide by.
    Ratio,
}

impl Unit {
    /// As answers name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Count => "count",
            Unit::Nanos => "nanos",
            Unit::Micros => "micros",
            Unit::Ratio => "ratio",
        }
    }
}

/// A sum that measures are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Base {
    Events,
    Impressions,
    Visits,
    Clicks,
    Conversions,
    Cost,
    Users,
    Value,
    /// In how many currencies the costs are.
    Currencies,
    /// The same for the values.
    ValueCurrencies,
}

impl Base {
    /// Over events.
    pub(super) const fn inner(self) -> &'static str {
        match self {
            Base::Events => "count() AS m_events",
            Base::Impressions => "countIf(type = 'impression') AS m_impressions",
            Base::Visits => "countIf(type = 'visit') AS m_visits",
            Base::Clicks => "countIf(type = 'click') AS m_clicks",
            Base::Conversions => "countIf(type = 'conversion') AS m_conversions",
            Base::Cost => "sum(toInt128(cost_nanos)) AS m_cost",
            // Exact up to some ten thousand users a group, then within 0.2 %, in bounded memory.
            Base::Users => "uniqCombined64If(20)(user_id, user_id != '') AS m_users",
            Base::Value => "sum(toInt128(ifNull(value_micros, 0))) AS m_value",
            Base::Currencies => {
                "uniqExactIf(transform(campaign_id, owned, moneys, toUInt32(1)), cost_nanos != 0) AS m_currencies"
            }
            Base::ValueCurrencies => {
                "uniqExactIf(transform(campaign_id, owned, moneys, toUInt32(1)), value_micros != 0) AS m_value_currencies"
            }
        }
    }

    /// What holds where the catalogue has one currency.
    pub(super) const fn alike(self) -> Option<&'static str> {
        match self {
            Base::Currencies => Some("1 AS m_currencies"),
            Base::ValueCurrencies => Some("1 AS m_value_currencies"),
            _ => None,
        }
    }

    /// Over the minutes' roll-up.
    pub(super) const fn rolled(self) -> Option<&'static str> {
        match self {
            Base::Events => Some("sum(count) AS m_events"),
            Base::Impressions => Some("sumIf(count, type = 'impression') AS m_impressions"),
            Base::Visits => Some("sumIf(count, type = 'visit') AS m_visits"),
            Base::Clicks => Some("sumIf(count, type = 'click') AS m_clicks"),
            Base::Conversions => Some("sumIf(count, type = 'conversion') AS m_conversions"),
            Base::Cost => Some("sum(toInt128(cost_nanos)) AS m_cost"),
            Base::Currencies => Some(self.inner()),
            Base::Users | Base::Value | Base::ValueCurrencies => None,
        }
    }
}

/// One figure.
#[derive(Debug, PartialEq, Eq)]
pub struct Measure {
    /// As requests and answers name it.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// What it is made of.
    pub(super) bases: &'static [Base],
    /// Outside: the value under its name.
    pub(super) outer: &'static str,
    /// What rows are ordered by.
    pub(super) order: &'static str,
}

macro_rules! count {
    ($name:literal, $base:ident) => {
        Measure {
            name: $name,
            unit: Unit::Count,
            bases: &[Base::$base],
            outer: concat!("m_", $name, " AS ", $name),
            order: concat!("m_", $name),
        }
    };
}

/// All measures.
pub static MEASURES: [Measure; 12] = [
    count!("events", Events),
    count!("impressions", Impressions),
    count!("visits", Visits),
    count!("clicks", Clicks),
    count!("conversions", Conversions),
    Measure {
        name: "cost_nanos",
        unit: Unit::Nanos,
        bases: &[Base::Cost, Base::Currencies],
        outer: "if(m_currencies > 1, NULL, toString(m_cost)) AS cost_nanos",
        order: "if(m_currencies > 1, NULL, m_cost)",
    },
    count!("users", Users),
    Measure {
        name: "ctr",
        unit: Unit::Ratio,
        bases: &[Base::Clicks, Base::Impressions],
        outer: "m_clicks / nullIf(m_impressions, 0) AS ctr",
        order: "m_clicks / nullIf(m_impressions, 0)",
    },
    Measure {
        name: "cvr",
        unit: Unit::Ratio,
        bases: &[Base::Conversions, Base::Clicks],
        outer: "m_conversions / nullIf(m_clicks, 0) AS cvr",
        order: "m_conversions / nullIf(m_clicks, 0)",
    },
    Measure {
        name: "ecpm_nanos",
        unit: Unit::Nanos,
        bases: &[Base::Cost, Base::Impressions, Base::Currencies],
        outer: "if(m_currencies > 1, NULL, toString(intDiv(m_cost * 1000, toInt128(nullIf(m_impressions, 0))))) AS ecpm_nanos",
        order: "if(m_currencies > 1, NULL, intDiv(m_cost * 1000, toInt128(nullIf(m_impressions, 0))))",
    },
    Measure {
        name: "ecpc_nanos",
        unit: Unit::Nanos,
        bases: &[Base::Cost, Base::Clicks, Base::Currencies],
        outer: "if(m_currencies > 1, NULL, toString(intDiv(m_cost, toInt128(nullIf(m_clicks, 0))))) AS ecpc_nanos",
        order: "if(m_currencies > 1, NULL, intDiv(m_cost, toInt128(nullIf(m_clicks, 0))))",
    },
    Measure {
        name: "value_micros",
        unit: Unit::Micros,
        bases: &[Base::Value, Base::ValueCurrencies],
        outer: "if(m_value_currencies > 1, NULL, toString(m_value)) AS value_micros",
        order: "if(m_value_currencies > 1, NULL, m_value)",
    },
];

/// The dimension of that name.
#[must_use]
pub fn dimension(name: &str) -> Option<&'static Dimension> {
    DIMENSIONS.iter().find(|d| d.name == name)
}

/// The measure of that name.
#[must_use]
pub fn measure(name: &str) -> Option<&'static Measure> {
    MEASURES.iter().find(|m| m.name == name)
}
