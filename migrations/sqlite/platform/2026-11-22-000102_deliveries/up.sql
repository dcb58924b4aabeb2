-- One row for each (event, subscriber) that the local bus has taken responsibility for.
CREATE TABLE platform_deliveries (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    event_id BLOB NOT NULL CHECK (length(event_id) = 16),
    subscriber TEXT NOT NULL,
    event_type TEXT NOT NULL,
    envelope TEXT NOT NULL CHECK (json_valid(envelope)),
    status TEXT NOT NULL CHECK (status IN ('pending', 'done', 'parked')),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    created_at INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    lease_until INTEGER,
    last_error TEXT,
    UNIQUE (event_id, subscriber)
) STRICT;

-- A subscriber's due deliveries, oldest first.
CREATE INDEX platform_deliveries_due ON platform_deliveries (subscriber, status, next_attempt_at);
-- The parked ones, and the done ones to sweep.
CREATE INDEX platform_deliveries_by_status ON platform_deliveries (status, created_at);
