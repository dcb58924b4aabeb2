-- A message to one person, one address or one number. What it says is made when it is sent, so no secret is stored
-- here. address_key stands for the address or the number, about_user is whom it is about: both are for forgetting.
CREATE TABLE notifications_messages (
    id BLOB NOT NULL PRIMARY KEY,
    to_user BLOB,
    to_address TEXT,
    to_phone TEXT,
    address_key TEXT,
    about_user BLOB,
    template TEXT NOT NULL,
    locale TEXT,
    data TEXT NOT NULL CHECK (json_valid(data)),
    category TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'failed', 'suppressed', 'obsolete')),
    deduplication_key TEXT UNIQUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CHECK ((to_user IS NOT NULL) + (to_address IS NOT NULL) + (to_phone IS NOT NULL) = 1)
) STRICT;
CREATE INDEX notifications_messages_by_user ON notifications_messages (to_user, id);
CREATE INDEX notifications_messages_by_state ON notifications_messages (state, id);
CREATE INDEX notifications_messages_by_address ON notifications_messages (address_key) WHERE address_key IS NOT NULL;
CREATE INDEX notifications_messages_about ON notifications_messages (about_user) WHERE about_user IS NOT NULL;
CREATE INDEX notifications_messages_by_age ON notifications_messages (updated_at);

-- One message over one channel. due_at: when a worker should take it up; while one is sending, the end of its lease;
-- null when nothing is left to do, so that the index finds only what is left. admitted: counted against the limits.
CREATE TABLE notifications_deliveries (
    id BLOB NOT NULL PRIMARY KEY,
    message_id BLOB NOT NULL REFERENCES notifications_messages (id) ON DELETE CASCADE,
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'inbox')),
    state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'delivered', 'undelivered', 'parked', 'suppressed', 'obsolete')),
    reason TEXT,
    attempts INTEGER NOT NULL,
    last_attempt INTEGER NOT NULL,
    due_at INTEGER,
    expires_at INTEGER NOT NULL,
    admitted INTEGER NOT NULL CHECK (admitted IN (0, 1)),
    rfc_message_id TEXT NOT NULL,
    last_error TEXT,
    sent_at INTEGER,
    provider TEXT,
    provider_ref TEXT,
    segments INTEGER,
    receipt_at INTEGER,
    UNIQUE (message_id, channel)
) STRICT, WITHOUT ROWID;
CREATE INDEX notifications_deliveries_due ON notifications_deliveries (due_at);

-- Every try, also those that a crash cut short.
CREATE TABLE notifications_attempts (
    id BLOB NOT NULL PRIMARY KEY,
    delivery_id BLOB NOT NULL REFERENCES notifications_deliveries (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    outcome TEXT CHECK (outcome IN ('sent', 'temporary', 'permanent', 'suppressed', 'obsolete', 'interrupted')),
    reason TEXT,
    provider TEXT,
    detail TEXT,
    UNIQUE (delivery_id, number)
) STRICT, WITHOUT ROWID;

-- Development only: every message as its receiver would see it.
CREATE TABLE notifications_mailbox (
    delivery_id BLOB NOT NULL PRIMARY KEY,
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'inbox')),
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    html TEXT NOT NULL,
    links TEXT NOT NULL CHECK (json_valid(links)),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX notifications_mailbox_by_age ON notifications_mailbox (created_at);
