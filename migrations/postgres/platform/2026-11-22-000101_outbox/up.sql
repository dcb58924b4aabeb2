-- Events that were committed together with the change they tell of, until a bus has taken them.
CREATE TABLE platform_outbox (
    id uuid PRIMARY KEY,
    event_type text NOT NULL,
    envelope jsonb NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'done')),
    attempts bigint NOT NULL CHECK (attempts >= 0),
    created_at timestamptz NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    lease_until timestamptz,
    last_error text
);

-- Serves claiming, counting and sweeping. Not partial: a bound status would not match a partial index.
CREATE INDEX platform_outbox_by_status ON platform_outbox (status, id);
