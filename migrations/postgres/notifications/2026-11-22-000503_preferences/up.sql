-- What people decided about categories and channels; what nobody decided is on.
CREATE TABLE notifications_preferences (
    user_id uuid PRIMARY KEY,
    revision bigint NOT NULL,
    choices jsonb NOT NULL,
    updated_at timestamptz NOT NULL
);

-- Addresses that get nothing of a category any more: unsubscribed by their reader, or refused by their server (then the
-- category is '*'). They are known by keyed hashes.
CREATE TABLE notifications_suppressions (
    address_key text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('email', 'sms')),
    category text NOT NULL,
    reason text NOT NULL CHECK (reason IN ('unsubscribed', 'bounced')),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (address_key, channel, category)
);
