-- Whether the account was disabled when it was deleted: restoring it switches nobody on.
ALTER TABLE auth_accounts ADD COLUMN disabled_when_deleted INTEGER NOT NULL DEFAULT 0 CHECK (disabled_when_deleted IN (0, 1));
