-- Answers to requests that carried an idempotency key, committed together with their effect.
CREATE TABLE platform_idempotency_keys (
    key_hash bytea PRIMARY KEY CHECK (length(key_hash) = 32),
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    expires_at timestamptz NOT NULL,
    status integer,
    location text,
    body jsonb
);

CREATE INDEX platform_idempotency_keys_by_age ON platform_idempotency_keys (expires_at);
