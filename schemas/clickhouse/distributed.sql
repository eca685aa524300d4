-- On a cluster alone: what is asked. Rows are written to `events_local` of the shard that a range's position
-- names, never through this table: which shard has a range must be known after a crash.
CREATE TABLE IF NOT EXISTS {database}.events{on_cluster} AS {database}.events_local
ENGINE = Distributed({cluster}, {database_text}, 'events_local');
