-- Who can have a login: the address in its one normal form, and what the account may do.
CREATE TABLE auth_accounts (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    email TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('unverified', 'active', 'disabled', 'deleted')),
    verified_at INTEGER,
    -- Rises whenever what proves the owner changes; a session made under an older one is worth nothing.
    credential_version INTEGER NOT NULL CHECK (credential_version >= 0),
    -- Rises with every change that other modules can see.
    revision INTEGER NOT NULL CHECK (revision >= 1),
    last_login_at INTEGER,
    -- Whether a registration may still bring the password that proving the address makes valid: not for an account that
    -- somebody else made, or whose address changed.
    self_registered INTEGER NOT NULL CHECK (self_registered IN (0, 1)),
    -- When the window began in which the account can be restored; it is purged after that.
    deleted_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CHECK (state <> 'active' OR verified_at IS NOT NULL),
    CHECK ((state = 'deleted') = (deleted_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX auth_accounts_by_deletion ON auth_accounts (deleted_at) WHERE deleted_at IS NOT NULL;

-- The password of an account. It opens nothing before the address is proven.
CREATE TABLE auth_credentials (
    account_id BLOB NOT NULL PRIMARY KEY CHECK (length(account_id) = 16) REFERENCES auth_accounts ON DELETE CASCADE,
    password_hash TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
