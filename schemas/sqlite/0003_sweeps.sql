-- An index of ids by day would cost each charge a second tree. Ids past their horizon are found by
-- reading `charges` in slices instead, once for each day that the horizon moves.
DROP INDEX charges_by_day;

-- How far a table has been read: everything up to `reached` for the horizon that comes next, all of
-- it for `horizon` (days since the epoch, UTC).
CREATE TABLE sweeps (
    name    TEXT    PRIMARY KEY,
    horizon INTEGER NOT NULL,
    reached BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO sweeps (name, horizon, reached) VALUES ('charges', 0, x'');
