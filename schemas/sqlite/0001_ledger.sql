-- The ledger on SQLite. Amounts are integers: *_micros (10⁻⁶) as they came in, *_nanos (10⁻⁹) as
-- they are summed. Every table is STRICT: where integer arithmetic would pass 64 bits SQLite
-- turns to floating point, and a STRICT column refuses that instead of keeping it.
-- Times are microseconds since the epoch unless a column says otherwise.

-- Who pays. spent_nanos is what all its campaigns have spent, adjustments included.
CREATE TABLE advertisers (
    id             INTEGER PRIMARY KEY CHECK (id > 0),
    name           TEXT    NOT NULL,
    currency       TEXT    NOT NULL,
    balance_micros INTEGER CHECK (balance_micros >= 0),
    spent_nanos    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE campaigns (
    id                  INTEGER PRIMARY KEY CHECK (id > 0),
    name                TEXT    NOT NULL,
    advertiser_id       INTEGER NOT NULL REFERENCES advertisers (id),
    time_zone           TEXT    NOT NULL,
    total_budget_micros INTEGER CHECK (total_budget_micros >= 0),
    daily_budget_micros INTEGER CHECK (daily_budget_micros >= 0),
    charged_nanos       INTEGER NOT NULL DEFAULT 0 CHECK (charged_nanos >= 0),
    adjusted_nanos      INTEGER NOT NULL DEFAULT 0,
    spent_nanos         INTEGER NOT NULL GENERATED ALWAYS AS (charged_nanos + adjusted_nanos) VIRTUAL
) STRICT;
CREATE INDEX campaigns_of_advertiser ON campaigns (advertiser_id);

-- One row an import that changed a price or a tag.
CREATE TABLE catalogue_versions (
    version     INTEGER PRIMARY KEY,
    known_from  INTEGER NOT NULL,
    imported_at INTEGER NOT NULL,
    who         TEXT    NOT NULL
) STRICT;

-- Versions of a campaign's rates. valid_from is compared with the event's time, known_from with
-- the time it was received; the first version of a campaign is valid since ever.
CREATE TABLE rates (
    campaign_id INTEGER NOT NULL REFERENCES campaigns (id),
    version     INTEGER NOT NULL REFERENCES catalogue_versions (version),
    valid_from  INTEGER NOT NULL,
    known_from  INTEGER NOT NULL,
    cpm_micros  INTEGER CHECK (cpm_micros >= 0),
    cpc_micros  INTEGER CHECK (cpc_micros >= 0),
    cpa_micros  INTEGER CHECK (cpa_micros >= 0),
    PRIMARY KEY (campaign_id, version)
) STRICT, WITHOUT ROWID;

-- Versions of a tag's campaign; campaign 0 closes the tag.
CREATE TABLE tags (
    tag         TEXT    NOT NULL,
    version     INTEGER NOT NULL REFERENCES catalogue_versions (version),
    valid_from  INTEGER NOT NULL,
    known_from  INTEGER NOT NULL,
    campaign_id INTEGER NOT NULL,
    PRIMARY KEY (tag, version)
) STRICT, WITHOUT ROWID;

-- Where the ledger stands in every log partition. This position is the truth, not the log's.
CREATE TABLE positions (
    id            INTEGER PRIMARY KEY,
    log_name      TEXT    NOT NULL,
    log_partition INTEGER NOT NULL,
    next_offset   INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    UNIQUE (log_name, log_partition)
) STRICT;

-- How each range was booked, by event type; `(dead)` counts records that became dead letters,
-- `(skipped)` offsets that retention had taken. Old rows are folded into one a day (merged > 1).
-- Sums over campaigns may pass 64 bits: nanos are below 10¹⁸, every 10¹⁸ is carried into *_e18.
CREATE TABLE ranges (
    position_id         INTEGER NOT NULL REFERENCES positions (id),
    from_offset         INTEGER NOT NULL,
    to_offset           INTEGER NOT NULL,
    type                TEXT    NOT NULL,
    events              INTEGER NOT NULL,
    charged_events      INTEGER NOT NULL DEFAULT 0,
    charged_nanos       INTEGER NOT NULL DEFAULT 0,
    charged_e18         INTEGER NOT NULL DEFAULT 0,
    duplicate_events    INTEGER NOT NULL DEFAULT 0,
    duplicate_nanos     INTEGER NOT NULL DEFAULT 0,
    duplicate_e18       INTEGER NOT NULL DEFAULT 0,
    unattributed_events INTEGER NOT NULL DEFAULT 0,
    unattributed_nanos  INTEGER NOT NULL DEFAULT 0,
    unattributed_e18    INTEGER NOT NULL DEFAULT 0,
    written_at          INTEGER NOT NULL,
    merged              INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (position_id, from_offset, type)
) STRICT, WITHOUT ROWID;
CREATE INDEX ranges_to_fold ON ranges (written_at) WHERE merged = 1;

-- What is charged, by campaign, UTC hour (hours since the epoch) and type.
CREATE TABLE ledger (
    campaign_id INTEGER NOT NULL,
    hour        INTEGER NOT NULL,
    type        TEXT    NOT NULL,
    events      INTEGER NOT NULL,
    cost_nanos  INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, hour, type)
) STRICT, WITHOUT ROWID;

-- Running totals by partition, campaign and type, for reconciliation. What is not charged has
-- no account to bound it, so its nanos carry every 10¹⁸ into a column of their own.
CREATE TABLE campaign_totals (
    position_id         INTEGER NOT NULL REFERENCES positions (id),
    campaign_id         INTEGER NOT NULL,
    type                TEXT    NOT NULL,
    charged_events      INTEGER NOT NULL,
    charged_nanos       INTEGER NOT NULL,
    duplicate_events    INTEGER NOT NULL,
    duplicate_nanos     INTEGER NOT NULL,
    duplicate_e18       INTEGER NOT NULL,
    unattributed_events INTEGER NOT NULL,
    unattributed_nanos  INTEGER NOT NULL,
    unattributed_e18    INTEGER NOT NULL,
    PRIMARY KEY (position_id, campaign_id, type)
) STRICT, WITHOUT ROWID;

-- Corrections by hand; never changed, never deleted.
CREATE TABLE adjustments (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    key          TEXT    NOT NULL UNIQUE,
    campaign_id  INTEGER NOT NULL REFERENCES campaigns (id),
    kind         TEXT    NOT NULL,
    amount_nanos INTEGER NOT NULL,
    day          TEXT,
    at           INTEGER NOT NULL,
    who          TEXT    NOT NULL,
    why          TEXT    NOT NULL
) STRICT;
CREATE TRIGGER adjustments_are_not_changed BEFORE UPDATE ON adjustments
    BEGIN SELECT RAISE (ABORT, 'adjustments are append-only'); END;
CREATE TRIGGER adjustments_are_not_deleted BEFORE DELETE ON adjustments
    BEGIN SELECT RAISE (ABORT, 'adjustments are append-only'); END;

-- Ids of charged clicks and conversions. received_day (days since the epoch, UTC) is when the
-- event was received: the horizon counts from there, so that old logs can be replayed.
CREATE TABLE charges (
    id           BLOB    NOT NULL CHECK (length(id) = 16),
    type         TEXT    NOT NULL,
    received_day INTEGER NOT NULL,
    PRIMARY KEY (id, type)
) STRICT, WITHOUT ROWID;
CREATE INDEX charges_by_day ON charges (received_day);

-- Counts of charged events. sequence ascends with every change; what the campaign-kpis log has
-- not seen is above published_sequence.
CREATE TABLE campaign_kpis (
    campaign_id        INTEGER PRIMARY KEY,
    visits             INTEGER NOT NULL DEFAULT 0,
    impressions        INTEGER NOT NULL DEFAULT 0,
    clicks             INTEGER NOT NULL DEFAULT 0,
    conversions        INTEGER NOT NULL DEFAULT 0,
    sequence           INTEGER NOT NULL DEFAULT 0,
    published_sequence INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX campaign_kpis_to_publish ON campaign_kpis (campaign_id) WHERE sequence > published_sequence;

-- What a campaign has spent on a day (YYYY-MM-DD) of its own time zone.
CREATE TABLE campaign_days (
    campaign_id    INTEGER NOT NULL,
    day            TEXT    NOT NULL,
    events         INTEGER NOT NULL DEFAULT 0,
    charged_nanos  INTEGER NOT NULL DEFAULT 0,
    adjusted_nanos INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (campaign_id, day)
) STRICT, WITHOUT ROWID;

-- Reasons to be stopped. `balance` is one row of the advertiser and stops all its campaigns.
CREATE TABLE stops (
    campaign_id   INTEGER NOT NULL DEFAULT 0,
    advertiser_id INTEGER NOT NULL DEFAULT 0,
    reason        TEXT    NOT NULL,
    since         INTEGER NOT NULL,
    who           TEXT    NOT NULL,
    note          TEXT    NOT NULL,
    PRIMARY KEY (campaign_id, advertiser_id, reason),
    CHECK ((campaign_id = 0) <> (advertiser_id = 0))
) STRICT, WITHOUT ROWID;
CREATE INDEX stops_of_advertisers ON stops (advertiser_id) WHERE advertiser_id > 0;

-- What the publisher has to tell. A row comes with the change it tells of, in one transaction;
-- the publisher expands advertisers, gives versions, appends to the log and marks. A row without
-- a version that is marked was taken in by a later row of the same campaign.
CREATE TABLE outbox (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    campaign_id    INTEGER NOT NULL DEFAULT 0,
    advertiser_id  INTEGER NOT NULL DEFAULT 0,
    cause_received INTEGER,
    created_at     INTEGER NOT NULL,
    version        INTEGER UNIQUE,
    serving        INTEGER,
    reasons        TEXT,
    published_at   INTEGER
) STRICT;
CREATE INDEX outbox_unpublished ON outbox (seq) WHERE published_at IS NULL;
CREATE INDEX outbox_of_campaign ON outbox (campaign_id, version);

CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('state_version', 0);

-- What people changed.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    before  TEXT    NOT NULL,
    after   TEXT    NOT NULL,
    why     TEXT    NOT NULL
) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE (ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
    BEGIN SELECT RAISE (ABORT, 'the audit is append-only'); END;

-- For people: the ledger with readable hours.
CREATE VIEW ledger_hours AS
    SELECT campaign_id, strftime('%Y-%m-%d %H', hour * 3600, 'unixepoch') AS hour, type, events, cost_nanos
    FROM ledger;
