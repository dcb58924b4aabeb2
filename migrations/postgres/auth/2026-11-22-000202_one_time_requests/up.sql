-- Something that one secret may do once. The request is spent, whichever of its secrets opens it.
CREATE TABLE auth_one_time_requests (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('verification', 'setup', 'password_reset', 'invitation', 'session_report')),
    account_id uuid REFERENCES auth_accounts ON DELETE CASCADE,
    -- The login that the owner may disown with a session report.
    session_id uuid,
    -- The password that becomes valid with this request: the one of the attempt that made it.
    password_hash text,
    -- The account's credential version when it was asked for; a reset is worth nothing under a later one.
    credential_version bigint,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    CHECK ((kind = 'setup') = (account_id IS NULL)),
    CHECK ((kind = 'session_report') = (session_id IS NOT NULL)),
    CHECK (kind NOT IN ('password_reset', 'session_report') OR credential_version IS NOT NULL)
);

CREATE INDEX auth_one_time_requests_by_account ON auth_one_time_requests (account_id, kind, created_at);
CREATE INDEX auth_one_time_requests_by_age ON auth_one_time_requests (expires_at);

-- The secrets of a request, as SHA-256 of their text; the text itself is never stored.
CREATE TABLE auth_one_time_secrets (
    hash bytea PRIMARY KEY CHECK (length(hash) = 32),
    request_id uuid NOT NULL REFERENCES auth_one_time_requests ON DELETE CASCADE,
    created_at timestamptz NOT NULL
);

CREATE INDEX auth_one_time_secrets_by_request ON auth_one_time_secrets (request_id);
