-- An index of ids by day would cost each charge a second tree. Ids past their horizon are found by
-- reading `charges` in slices instead, once for each day that the horizon moves. Each statement can
-- run again.
ALTER TABLE charges DROP KEY IF EXISTS charges_by_day;

-- How far a table has been read: everything up to `reached` for the horizon that comes next, all of
-- it for `horizon` (days since the epoch, UTC). The row is also the housekeepers' lock.
CREATE TABLE IF NOT EXISTS sweeps (
    name    VARCHAR(32) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL PRIMARY KEY,
    horizon BIGINT        NOT NULL,
    reached VARBINARY(16) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
INSERT IGNORE INTO sweeps (name, horizon, reached) VALUES ('charges', 0, '');
