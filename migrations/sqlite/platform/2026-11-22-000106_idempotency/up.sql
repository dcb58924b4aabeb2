-- Answers to requests that carried an idempotency key, committed together with their effect.
CREATE TABLE platform_idempotency_keys (
    key_hash BLOB NOT NULL PRIMARY KEY CHECK (length(key_hash) = 32),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    expires_at INTEGER NOT NULL,
    status INTEGER,
    location TEXT,
    body TEXT CHECK (body IS NULL OR json_valid(body))
) STRICT, WITHOUT ROWID;

CREATE INDEX platform_idempotency_keys_by_age ON platform_idempotency_keys (expires_at);
