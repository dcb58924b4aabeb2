-- Processes that may keep values of this database in memory: one row each. The beat is counted up for as long as the
-- process holds its lease; the others tell by their own clocks for how long it has stood still.
CREATE TABLE platform_replicas (
    id text PRIMARY KEY CHECK (length(id) = 32),
    beat bigint NOT NULL,
    -- For people only.
    seen_at timestamptz NOT NULL
);

-- What is kept was kept in an epoch, and is worth nothing in another one. There is one row.
CREATE TABLE platform_cache_epoch (
    only_one smallint PRIMARY KEY CHECK (only_one = 1),
    epoch bigint NOT NULL,
    -- Nobody keeps anything, because not everybody hears of changes.
    suspended boolean NOT NULL,
    -- The epoch in which that was last over.
    opened bigint NOT NULL
);

INSERT INTO platform_cache_epoch (only_one, epoch, suspended, opened) VALUES (1, 1, false, 1);
