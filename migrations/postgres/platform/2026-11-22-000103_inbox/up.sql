-- Which subscriber has already taken the effect of which event.
CREATE TABLE platform_inbox (
    event_id uuid NOT NULL,
    subscriber text NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (event_id, subscriber)
);

CREATE INDEX platform_inbox_by_age ON platform_inbox (seen_at);
