-- What people read in the application. sequence: the next number of that person, without gaps, in the order of commits;
-- a stream goes on from the last one its reader has seen.
CREATE TABLE notifications_inbox (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    sequence bigint NOT NULL,
    message_id uuid NOT NULL,
    template text NOT NULL,
    category text NOT NULL,
    subject text NOT NULL,
    text text NOT NULL,
    links jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    read_at timestamptz,
    UNIQUE (user_id, sequence)
);
CREATE INDEX notifications_inbox_unread ON notifications_inbox (user_id) WHERE read_at IS NULL;
CREATE INDEX notifications_inbox_by_age ON notifications_inbox (created_at);

-- The last number that each person's inbox gave out. Its row is locked until the item commits, so numbers commit in order.
CREATE TABLE notifications_inbox_counters (
    user_id uuid PRIMARY KEY,
    last_sequence bigint NOT NULL
);
