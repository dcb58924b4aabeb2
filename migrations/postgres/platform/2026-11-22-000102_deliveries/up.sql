-- One row for each (event, subscriber) that the local bus has taken responsibility for.
CREATE TABLE platform_deliveries (
    id uuid PRIMARY KEY,
    event_id uuid NOT NULL,
    subscriber text NOT NULL,
    event_type text NOT NULL,
    envelope jsonb NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'done', 'parked')),
    attempts bigint NOT NULL CHECK (attempts >= 0),
    created_at timestamptz NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    lease_until timestamptz,
    last_error text,
    UNIQUE (event_id, subscriber)
);

-- A subscriber's due deliveries, oldest first.
CREATE INDEX platform_deliveries_due ON platform_deliveries (subscriber, status, next_attempt_at);
-- The parked ones, and the done ones to sweep.
CREATE INDEX platform_deliveries_by_status ON platform_deliveries (status, created_at);
