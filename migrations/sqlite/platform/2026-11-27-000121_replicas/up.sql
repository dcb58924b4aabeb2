-- Processes that may keep values of this database in memory: one row each. The beat is counted up for as long as the
-- process holds its lease; the others tell by their own clocks for how long it has stood still.
CREATE TABLE platform_replicas (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    beat INTEGER NOT NULL,
    -- For people only.
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is kept was kept in an epoch, and is worth nothing in another one. There is one row.
CREATE TABLE platform_cache_epoch (
    only_one INTEGER NOT NULL PRIMARY KEY CHECK (only_one = 1),
    epoch INTEGER NOT NULL,
    -- Nobody keeps anything, because not everybody hears of changes.
    suspended INTEGER NOT NULL CHECK (suspended IN (0, 1)),
    -- The epoch in which that was last over.
    opened INTEGER NOT NULL
) STRICT;

INSERT INTO platform_cache_epoch (only_one, epoch, suspended, opened) VALUES (1, 1, 0, 1);
