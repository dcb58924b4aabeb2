-- Who can have a login: the address in its one normal form, and what the account may do.
CREATE TABLE auth_accounts (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    state text NOT NULL CHECK (state IN ('unverified', 'active', 'disabled', 'deleted')),
    verified_at timestamptz,
    -- Rises whenever what proves the owner changes; a session made under an older one is worth nothing.
    credential_version bigint NOT NULL CHECK (credential_version >= 0),
    -- Rises with every change that other modules can see.
    revision bigint NOT NULL CHECK (revision >= 1),
    last_login_at timestamptz,
    -- Whether a registration may still bring the password that proving the address makes valid: not for an account that
    -- somebody else made, or whose address changed.
    self_registered boolean NOT NULL,
    -- When the window began in which the account can be restored; it is purged after that.
    deleted_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (state <> 'active' OR verified_at IS NOT NULL),
    CHECK ((state = 'deleted') = (deleted_at IS NOT NULL))
);

CREATE INDEX auth_accounts_by_deletion ON auth_accounts (deleted_at) WHERE deleted_at IS NOT NULL;

-- The password of an account. It opens nothing before the address is proven.
CREATE TABLE auth_credentials (
    account_id uuid PRIMARY KEY REFERENCES auth_accounts ON DELETE CASCADE,
    password_hash text NOT NULL,
    updated_at timestamptz NOT NULL
);
