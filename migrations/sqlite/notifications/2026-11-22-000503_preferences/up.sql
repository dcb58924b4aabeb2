-- What people decided about categories and channels; what nobody decided is on.
CREATE TABLE notifications_preferences (
    user_id BLOB NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    choices TEXT NOT NULL CHECK (json_valid(choices)),
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Addresses that get nothing of a category any more: unsubscribed by their reader, or refused by their server (then the
-- category is '*'). They are known by keyed hashes.
CREATE TABLE notifications_suppressions (
    address_key TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms')),
    category TEXT NOT NULL,
    reason TEXT NOT NULL CHECK (reason IN ('unsubscribed', 'bounced')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (address_key, channel, category)
) STRICT, WITHOUT ROWID;
