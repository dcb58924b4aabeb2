-- Rate limits that must survive a restart and hold over all replicas: one row a bucket in use.
CREATE TABLE platform_limits (
    key_hash BLOB NOT NULL PRIMARY KEY CHECK (length(key_hash) = 32),
    -- Microseconds since 1970: when the bucket will be full again. A number, because every take adds to it.
    full_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX platform_limits_by_age ON platform_limits (full_at);
