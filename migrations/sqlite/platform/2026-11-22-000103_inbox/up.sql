-- Which subscriber has already taken the effect of which event.
CREATE TABLE platform_inbox (
    event_id BLOB NOT NULL CHECK (length(event_id) = 16),
    subscriber TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (event_id, subscriber)
) STRICT, WITHOUT ROWID;

CREATE INDEX platform_inbox_by_age ON platform_inbox (seen_at);
