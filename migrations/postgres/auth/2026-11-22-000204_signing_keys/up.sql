-- The keys that sign access tokens. The private half is sealed by the installation's master key.
CREATE TABLE auth_signing_keys (
    kid text PRIMARY KEY,
    -- Counts the keys, so that of several processes that start at once only one makes the next key.
    sequence bigint NOT NULL UNIQUE,
    algorithm text NOT NULL CHECK (algorithm IN ('EdDSA', 'ES256')),
    private_key bytea NOT NULL,
    public_jwk jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    -- Published from creation on, used for signing from here on.
    not_before timestamptz NOT NULL,
    -- From here on neither published nor believed.
    retired_at timestamptz
);
