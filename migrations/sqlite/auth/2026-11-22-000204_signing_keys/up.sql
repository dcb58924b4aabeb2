-- The keys that sign access tokens. The private half is sealed by the installation's master key.
CREATE TABLE auth_signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    -- Counts the keys, so that of several processes that start at once only one makes the next key.
    sequence INTEGER NOT NULL UNIQUE,
    algorithm TEXT NOT NULL CHECK (algorithm IN ('EdDSA', 'ES256')),
    private_key BLOB NOT NULL,
    public_jwk TEXT NOT NULL CHECK (json_valid(public_jwk)),
    created_at INTEGER NOT NULL,
    -- Published from creation on, used for signing from here on.
    not_before INTEGER NOT NULL,
    -- From here on neither published nor believed.
    retired_at INTEGER
) STRICT, WITHOUT ROWID;
