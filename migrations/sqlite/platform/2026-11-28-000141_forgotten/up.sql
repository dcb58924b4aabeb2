-- People who were purged, and for whom copies of events, answers and entries of the trail are still looked through.
CREATE TABLE platform_forgotten (
    person BLOB NOT NULL PRIMARY KEY CHECK (length(person) = 16),
    next_look_at INTEGER NOT NULL,
    looks INTEGER NOT NULL CHECK (looks >= 0)
) STRICT, WITHOUT ROWID;

-- Whose turn it is.
CREATE INDEX platform_forgotten_due ON platform_forgotten (next_look_at);

-- What a bus has taken is swept by its age, however much of it is younger.
CREATE INDEX platform_outbox_by_age ON platform_outbox (status, created_at);
