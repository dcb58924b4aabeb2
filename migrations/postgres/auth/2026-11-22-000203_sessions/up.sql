-- One login of one person on one device, which is also the family of its refresh tokens.
CREATE TABLE auth_sessions (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES auth_accounts ON DELETE CASCADE,
    -- The account's credential version at the login.
    credential_version bigint NOT NULL,
    -- Turns a refresh token into its successor; without the token itself it tells nothing.
    family_key bytea NOT NULL CHECK (length(family_key) = 32),
    client_address text,
    user_agent text,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_reason text CHECK (revoked_reason IN (
        'signed_out', 'revoked', 'refresh_reused', 'account_disabled', 'account_deleted', 'password_changed',
        'password_reset', 'reported', 'session_limit'
    )),
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
);

CREATE INDEX auth_sessions_by_account ON auth_sessions (account_id, created_at);
CREATE INDEX auth_sessions_by_age ON auth_sessions (expires_at);
CREATE INDEX auth_sessions_by_end ON auth_sessions (revoked_at) WHERE revoked_at IS NOT NULL;

-- Every refresh token ever given out in a live family, as SHA-256 of its text: the used ones tell when one comes back.
CREATE TABLE auth_refresh_tokens (
    hash bytea PRIMARY KEY CHECK (length(hash) = 32),
    session_id uuid NOT NULL REFERENCES auth_sessions ON DELETE CASCADE,
    generation bigint NOT NULL CHECK (generation >= 0),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    -- A family has one line of successors and never a fork.
    UNIQUE (session_id, generation)
);

CREATE INDEX auth_refresh_tokens_by_age ON auth_refresh_tokens (expires_at);
