-- Where from and with what somebody has logged in before: a keyed hash of account, network and client, nothing else.
CREATE TABLE auth_devices (
    fingerprint bytea PRIMARY KEY CHECK (length(fingerprint) = 32),
    account_id uuid NOT NULL REFERENCES auth_accounts ON DELETE CASCADE,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL
);

CREATE INDEX auth_devices_by_account ON auth_devices (account_id);
CREATE INDEX auth_devices_by_age ON auth_devices (last_seen_at);
