-- One login of one person on one device, which is also the family of its refresh tokens.
CREATE TABLE auth_sessions (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id BLOB NOT NULL CHECK (length(account_id) = 16) REFERENCES auth_accounts ON DELETE CASCADE,
    -- The account's credential version at the login.
    credential_version INTEGER NOT NULL,
    -- Turns a refresh token into its successor; without the token itself it tells nothing.
    family_key BLOB NOT NULL CHECK (length(family_key) = 32),
    client_address TEXT,
    user_agent TEXT,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    revoked_reason TEXT CHECK (revoked_reason IN (
        'signed_out', 'revoked', 'refresh_reused', 'account_disabled', 'account_deleted', 'password_changed',
        'password_reset', 'reported', 'session_limit'
    )),
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX auth_sessions_by_account ON auth_sessions (account_id, created_at);
CREATE INDEX auth_sessions_by_age ON auth_sessions (expires_at);
CREATE INDEX auth_sessions_by_end ON auth_sessions (revoked_at) WHERE revoked_at IS NOT NULL;

-- Every refresh token ever given out in a live family, as SHA-256 of its text: the used ones tell when one comes back.
CREATE TABLE auth_refresh_tokens (
    hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    session_id BLOB NOT NULL CHECK (length(session_id) = 16) REFERENCES auth_sessions ON DELETE CASCADE,
    generation INTEGER NOT NULL CHECK (generation >= 0),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    -- A family has one line of successors and never a fork.
    UNIQUE (session_id, generation)
) STRICT, WITHOUT ROWID;

CREATE INDEX auth_refresh_tokens_by_age ON auth_refresh_tokens (expires_at);
