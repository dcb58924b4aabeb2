-- People who were purged, and for whom copies of events, answers and entries of the trail are still looked through.
CREATE TABLE platform_forgotten (
    person uuid PRIMARY KEY,
    next_look_at timestamptz NOT NULL,
    looks bigint NOT NULL CHECK (looks >= 0)
);

-- Whose turn it is.
CREATE INDEX platform_forgotten_due ON platform_forgotten (next_look_at);

-- What a bus has taken is swept by its age, however much of it is younger.
CREATE INDEX platform_outbox_by_age ON platform_outbox (status, created_at);
