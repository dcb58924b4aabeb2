-- A message to one person, one address or one number. What it says is made when it is sent, so no secret is stored
-- here. address_key stands for the address or the number, about_user is whom it is about: both are for forgetting.
CREATE TABLE notifications_messages (
    id uuid PRIMARY KEY,
    to_user uuid,
    to_address text,
    to_phone text,
    address_key text,
    about_user uuid,
    template text NOT NULL,
    locale text,
    data jsonb NOT NULL,
    category text NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'sent', 'failed', 'suppressed', 'obsolete')),
    deduplication_key text UNIQUE,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (num_nonnulls(to_user, to_address, to_phone) = 1)
);
CREATE INDEX notifications_messages_by_user ON notifications_messages (to_user, id);
CREATE INDEX notifications_messages_by_state ON notifications_messages (state, id);
CREATE INDEX notifications_messages_by_address ON notifications_messages (address_key) WHERE address_key IS NOT NULL;
CREATE INDEX notifications_messages_about ON notifications_messages (about_user) WHERE about_user IS NOT NULL;
CREATE INDEX notifications_messages_by_age ON notifications_messages (updated_at);

-- One message over one channel. due_at: when a worker should take it up; while one is sending, the end of its lease;
-- null when nothing is left to do, so that the index finds only what is left. admitted: counted against the limits.
CREATE TABLE notifications_deliveries (
    id uuid PRIMARY KEY,
    message_id uuid NOT NULL REFERENCES notifications_messages (id) ON DELETE CASCADE,
    channel text NOT NULL CHECK (channel IN ('email', 'sms', 'inbox')),
    state text NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'delivered', 'undelivered', 'parked', 'suppressed', 'obsolete')),
    reason text,
    attempts bigint NOT NULL,
    last_attempt bigint NOT NULL,
    due_at timestamptz,
    expires_at timestamptz NOT NULL,
    admitted boolean NOT NULL,
    rfc_message_id text NOT NULL,
    last_error text,
    sent_at timestamptz,
    provider text,
    provider_ref text,
    segments bigint,
    receipt_at timestamptz,
    UNIQUE (message_id, channel)
);
CREATE INDEX notifications_deliveries_due ON notifications_deliveries (due_at);

-- Every try, also those that a crash cut short.
CREATE TABLE notifications_attempts (
    id uuid PRIMARY KEY,
    delivery_id uuid NOT NULL REFERENCES notifications_deliveries (id) ON DELETE CASCADE,
    number bigint NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    outcome text CHECK (outcome IN ('sent', 'temporary', 'permanent', 'suppressed', 'obsolete', 'interrupted')),
    reason text,
    provider text,
    detail text,
    UNIQUE (delivery_id, number)
);

-- Development only: every message as its receiver would see it.
CREATE TABLE notifications_mailbox (
    delivery_id uuid PRIMARY KEY,
    channel text NOT NULL CHECK (channel IN ('email', 'sms', 'inbox')),
    recipient text NOT NULL,
    subject text NOT NULL,
    text text NOT NULL,
    html text NOT NULL,
    links jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX notifications_mailbox_by_age ON notifications_mailbox (created_at);
