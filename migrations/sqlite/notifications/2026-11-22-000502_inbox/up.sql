-- What people read in the application. sequence: the next number of that person, without gaps, in the order of commits;
-- a stream goes on from the last one its reader has seen.
CREATE TABLE notifications_inbox (
    id BLOB NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    template TEXT NOT NULL,
    category TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    links TEXT NOT NULL CHECK (json_valid(links)),
    created_at INTEGER NOT NULL,
    read_at INTEGER,
    UNIQUE (user_id, sequence)
) STRICT;
CREATE INDEX notifications_inbox_unread ON notifications_inbox (user_id) WHERE read_at IS NULL;
CREATE INDEX notifications_inbox_by_age ON notifications_inbox (created_at);

-- The last number that each person's inbox gave out. Its row is locked until the item commits, so numbers commit in order.
CREATE TABLE notifications_inbox_counters (
    user_id BLOB NOT NULL PRIMARY KEY,
    last_sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
