-- Events that were committed together with the change they tell of, until a bus has taken them.
CREATE TABLE platform_outbox (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    event_type TEXT NOT NULL,
    envelope TEXT NOT NULL CHECK (json_valid(envelope)),
    status TEXT NOT NULL CHECK (status IN ('pending', 'done')),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    created_at INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    lease_until INTEGER,
    last_error TEXT
) STRICT;

-- Serves claiming, counting and sweeping. Not partial: a bound status would not match a partial index.
CREATE INDEX platform_outbox_by_status ON platform_outbox (status, id);
