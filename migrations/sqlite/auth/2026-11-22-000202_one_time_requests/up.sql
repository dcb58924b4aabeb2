-- Something that one secret may do once. The request is spent, whichever of its secrets opens it.
CREATE TABLE auth_one_time_requests (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind TEXT NOT NULL CHECK (kind IN ('verification', 'setup', 'password_reset', 'invitation', 'session_report')),
    account_id BLOB CHECK (account_id IS NULL OR length(account_id) = 16) REFERENCES auth_accounts ON DELETE CASCADE,
    -- The login that the owner may disown with a session report.
    session_id BLOB CHECK (session_id IS NULL OR length(session_id) = 16),
    -- The password that becomes valid with this request: the one of the attempt that made it.
    password_hash TEXT,
    -- The account's credential version when it was asked for; a reset is worth nothing under a later one.
    credential_version INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    CHECK ((kind = 'setup') = (account_id IS NULL)),
    CHECK ((kind = 'session_report') = (session_id IS NOT NULL)),
    CHECK (kind NOT IN ('password_reset', 'session_report') OR credential_version IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE INDEX auth_one_time_requests_by_account ON auth_one_time_requests (account_id, kind, created_at);
CREATE INDEX auth_one_time_requests_by_age ON auth_one_time_requests (expires_at);

-- The secrets of a request, as SHA-256 of their text; the text itself is never stored.
CREATE TABLE auth_one_time_secrets (
    hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    request_id BLOB NOT NULL CHECK (length(request_id) = 16) REFERENCES auth_one_time_requests ON DELETE CASCADE,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX auth_one_time_secrets_by_request ON auth_one_time_secrets (request_id);
