-- The ledger on MariaDB 10.11: the tables of schemas/sqlite, with the locks of many writers in mind.
-- Amounts are integers: *_micros (10⁻⁶) as they came in, *_nanos (10⁻⁹) as they are summed; under
-- the strict mode that every connection sets, BIGINT arithmetic past 64 bits is an error and never
-- wraps. Times are microseconds since the epoch unless a column says otherwise; no column has a
-- type that a time zone touches. Offsets end at 2⁶³ - 1, as Kafka's do.
--
-- Text is utf8mb4_nopad_bin, names of ours ascii_nopad_bin: `a`, `A` and `a ` are three tags. (A
-- collation that pads, utf8mb4_bin too, takes the first and the last for one.)
--
-- MariaDB commits after each of these statements, so a kill in between leaves a part of them; each
-- can therefore run again.

-- Who pays. spent_nanos is what all its campaigns have spent, adjustments included.
CREATE TABLE IF NOT EXISTS advertisers (
    id             BIGINT       NOT NULL PRIMARY KEY CHECK (id > 0),
    name           VARCHAR(200) NOT NULL,
    currency       CHAR(3) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
    balance_micros BIGINT       NULL CHECK (balance_micros >= 0),
    spent_nanos    BIGINT       NOT NULL DEFAULT 0
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- A campaign's row is also the lock of what belongs to it: its days, its kpis, its stops.
CREATE TABLE IF NOT EXISTS campaigns (
    id                  BIGINT       NOT NULL PRIMARY KEY CHECK (id > 0),
    name                VARCHAR(200) NOT NULL,
    advertiser_id       BIGINT       NOT NULL,
    time_zone           VARCHAR(64) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
    total_budget_micros BIGINT       NULL CHECK (total_budget_micros >= 0),
    daily_budget_micros BIGINT       NULL CHECK (daily_budget_micros >= 0),
    charged_nanos       BIGINT       NOT NULL DEFAULT 0 CHECK (charged_nanos >= 0),
    adjusted_nanos      BIGINT       NOT NULL DEFAULT 0,
    spent_nanos         BIGINT AS (charged_nanos + adjusted_nanos) VIRTUAL,
    KEY campaigns_of_advertiser (advertiser_id),
    CONSTRAINT campaigns_advertiser FOREIGN KEY (advertiser_id) REFERENCES advertisers (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- One row an import that changed a price or a tag.
CREATE TABLE IF NOT EXISTS catalogue_versions (
    version     BIGINT       NOT NULL PRIMARY KEY,
    known_from  BIGINT       NOT NULL,
    imported_at BIGINT       NOT NULL,
    who         VARCHAR(200) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Versions of a campaign's rates. valid_from is compared with the event's time, known_from with
-- the time it was received; the first version of a campaign is valid since ever.
CREATE TABLE IF NOT EXISTS rates (
    campaign_id BIGINT NOT NULL,
    version     BIGINT NOT NULL,
    valid_from  BIGINT NOT NULL,
    known_from  BIGINT NOT NULL,
    cpm_micros  BIGINT NULL CHECK (cpm_micros >= 0),
    cpc_micros  BIGINT NULL CHECK (cpc_micros >= 0),
    cpa_micros  BIGINT NULL CHECK (cpa_micros >= 0),
    PRIMARY KEY (campaign_id, version),
    KEY rates_of_version (version),
    CONSTRAINT rates_campaign FOREIGN KEY (campaign_id) REFERENCES campaigns (id),
    CONSTRAINT rates_version FOREIGN KEY (version) REFERENCES catalogue_versions (version)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Versions of a tag's campaign; campaign 0 closes the tag.
CREATE TABLE IF NOT EXISTS tags (
    tag         VARCHAR(200) NOT NULL,
    version     BIGINT       NOT NULL,
    valid_from  BIGINT       NOT NULL,
    known_from  BIGINT       NOT NULL,
    campaign_id BIGINT       NOT NULL,
    PRIMARY KEY (tag, version),
    KEY tags_of_version (version),
    CONSTRAINT tags_version FOREIGN KEY (version) REFERENCES catalogue_versions (version)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Where the ledger stands in every log partition. This position is the truth, not the log's.
CREATE TABLE IF NOT EXISTS positions (
    id            BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    log_name      VARCHAR(200) NOT NULL,
    log_partition BIGINT       NOT NULL,
    next_offset   BIGINT       NOT NULL CHECK (next_offset >= 0),
    updated_at    BIGINT       NOT NULL,
    UNIQUE KEY positions_log (log_name, log_partition)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- How each range was booked, by event type; `(dead)` counts records that became dead letters,
-- `(skipped)` offsets that retention had taken. Old rows are folded into one a day (merged > 1).
-- Sums over campaigns may pass 64 bits: nanos are below 10¹⁸, every 10¹⁸ is carried into *_e18.
CREATE TABLE IF NOT EXISTS ranges (
    position_id         BIGINT NOT NULL,
    from_offset         BIGINT NOT NULL,
    to_offset           BIGINT NOT NULL,
    type                VARCHAR(32) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
    events              BIGINT NOT NULL,
    charged_events      BIGINT NOT NULL DEFAULT 0,
    charged_nanos       BIGINT NOT NULL DEFAULT 0,
    charged_e18         BIGINT NOT NULL DEFAULT 0,
    duplicate_events    BIGINT NOT NULL DEFAULT 0,
    duplicate_nanos     BIGINT NOT NULL DEFAULT 0,
    duplicate_e18       BIGINT NOT NULL DEFAULT 0,
    unattributed_events BIGINT NOT NULL DEFAULT 0,
    unattributed_nanos  BIGINT NOT NULL DEFAULT 0,
    unattributed_e18    BIGINT NOT NULL DEFAULT 0,
    written_at          BIGINT NOT NULL,
    merged              BIGINT NOT NULL DEFAULT 1,
    PRIMARY KEY (position_id, from_offset, type),
    KEY ranges_to_fold (merged, written_at),
    CONSTRAINT ranges_position FOREIGN KEY (position_id) REFERENCES positions (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- What is charged, by campaign, UTC hour (hours since the epoch) and type.
CREATE TABLE IF NOT EXISTS ledger (
    campaign_id BIGINT NOT NULL,
    hour        BIGINT NOT NULL,
    type        VARCHAR(32) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
    events      BIGINT NOT NULL,
    cost_nanos  BIGINT NOT NULL,
    PRIMARY KEY (campaign_id, hour, type)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Running totals by partition, campaign and type, for reconciliation. What is not charged has
-- no account to bound it, so its nanos carry every 10¹⁸ into a column of their own.
CREATE TABLE IF NOT EXISTS campaign_totals (
    position_id         BIGINT NOT NULL,
    campaign_id         BIGINT NOT NULL,
    type                VARCHAR(32) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
    charged_events      BIGINT NOT NULL,
    charged_nanos       BIGINT NOT NULL,
    duplicate_events    BIGINT NOT NULL,
    duplicate_nanos     BIGINT NOT NULL,
    duplicate_e18       BIGINT NOT NULL,
    unattributed_events BIGINT NOT NULL,
    unattributed_nanos  BIGINT NOT NULL,
    unattributed_e18    BIGINT NOT NULL,
    PRIMARY KEY (position_id, campaign_id, type),
    CONSTRAINT totals_position FOREIGN KEY (position_id) REFERENCES positions (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Corrections by hand; never changed, never deleted.
CREATE TABLE IF NOT EXISTS adjustments (
    id           BIGINT        NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `key`        VARCHAR(200)  NOT NULL UNIQUE,
    campaign_id  BIGINT        NOT NULL,
    kind         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
    amount_nanos BIGINT        NOT NULL,
    day          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_nopad_bin NULL,
    at           BIGINT        NOT NULL,
    who          VARCHAR(200)  NOT NULL,
    why          VARCHAR(2000) NOT NULL,
    KEY adjustments_of_campaign (campaign_id),
    CONSTRAINT adjustments_campaign FOREIGN KEY (campaign_id) REFERENCES campaigns (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE OR REPLACE TRIGGER adjustments_are_not_changed BEFORE UPDATE ON adjustments
    FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'adjustments are append-only';
CREATE OR REPLACE TRIGGER adjustments_are_not_deleted BEFORE DELETE ON adjustments
    FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'adjustments are append-only';

-- Ids of charged clicks and conversions. received_day (days since the epoch, UTC) is when the
-- event was received: the horizon counts from there, so that old logs can be replayed. The key is
-- over the whole table, so a partitioning by day, whose keys would have to hold the day, cannot be.
CREATE TABLE IF NOT EXISTS charges (
    id           BINARY(16) NOT NULL,
    type         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
    received_day BIGINT     NOT NULL,
    PRIMARY KEY (id, type),
    KEY charges_by_day (received_day)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Counts of charged events. sequence ascends with every change; what the campaign-kpis log has
-- not seen is above published_sequence.
CREATE TABLE IF NOT EXISTS campaign_kpis (
    campaign_id        BIGINT  NOT NULL PRIMARY KEY,
    visits             BIGINT  NOT NULL DEFAULT 0,
    impressions        BIGINT  NOT NULL DEFAULT 0,
    clicks             BIGINT  NOT NULL DEFAULT 0,
    conversions        BIGINT  NOT NULL DEFAULT 0,
    sequence           BIGINT  NOT NULL DEFAULT 0,
    published_sequence BIGINT  NOT NULL DEFAULT 0,
    to_publish         TINYINT AS (sequence > published_sequence) STORED,
    KEY campaign_kpis_to_publish (to_publish, campaign_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- What a campaign has spent on a day (YYYY-MM-DD) of its own time zone.
CREATE TABLE IF NOT EXISTS campaign_days (
    campaign_id    BIGINT NOT NULL,
    day            VARCHAR(16) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
    events         BIGINT NOT NULL DEFAULT 0,
    charged_nanos  BIGINT NOT NULL DEFAULT 0,
    adjusted_nanos BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (campaign_id, day)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Reasons to be stopped. `balance` is one row of the advertiser and stops all its campaigns.
CREATE TABLE IF NOT EXISTS stops (
    campaign_id   BIGINT        NOT NULL DEFAULT 0,
    advertiser_id BIGINT        NOT NULL DEFAULT 0,
    reason        VARCHAR(32) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
    since         BIGINT        NOT NULL,
    who           VARCHAR(200)  NOT NULL,
    note          VARCHAR(2000) NOT NULL,
    PRIMARY KEY (campaign_id, advertiser_id, reason),
    KEY stops_of_advertisers (advertiser_id),
    CONSTRAINT stops_of_one CHECK ((campaign_id = 0) <> (advertiser_id = 0))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- What the publisher has to tell. A row comes with the change it tells of, in one transaction;
-- the publisher expands advertisers, gives versions, appends to the log and marks. A row without
-- a version that is marked was taken in by a later row of the same campaign.
CREATE TABLE IF NOT EXISTS outbox (
    seq            BIGINT  NOT NULL AUTO_INCREMENT PRIMARY KEY,
    campaign_id    BIGINT  NOT NULL DEFAULT 0,
    advertiser_id  BIGINT  NOT NULL DEFAULT 0,
    cause_received BIGINT  NULL,
    created_at     BIGINT  NOT NULL,
    version        BIGINT  NULL UNIQUE,
    serving        BIGINT  NULL,
    reasons        VARCHAR(200) CHARACTER SET ascii COLLATE ascii_nopad_bin NULL,
    published_at   BIGINT  NULL,
    KEY outbox_unpublished (published_at, version),
    KEY outbox_of_campaign (campaign_id, version)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- `state_version` is the newest version given; the others are there to be locked: one import at a
-- time, one housekeeper at a time.
CREATE TABLE IF NOT EXISTS counters (
    name  VARCHAR(32) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
INSERT IGNORE INTO counters (name, value) VALUES ('state_version', 0), ('import', 0), ('housekeeping', 0);

-- What people changed.
CREATE TABLE IF NOT EXISTS audit (
    id       BIGINT        NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at       BIGINT        NOT NULL,
    who      VARCHAR(200)  NOT NULL,
    action   VARCHAR(32) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
    subject  VARCHAR(300)  NOT NULL,
    `before` LONGTEXT      NOT NULL,
    after    LONGTEXT      NOT NULL,
    why      VARCHAR(2000) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE OR REPLACE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the audit is append-only';
CREATE OR REPLACE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
    FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the audit is append-only';

-- For people: the ledger with readable hours, in UTC whatever zone the server keeps.
CREATE OR REPLACE VIEW ledger_hours AS
    SELECT campaign_id, DATE_FORMAT('1970-01-01' + INTERVAL hour HOUR, '%Y-%m-%d %H') AS hour, type, events, cost_nanos
    FROM ledger;
