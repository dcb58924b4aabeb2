-- Whether the account was disabled when it was deleted: restoring it switches nobody on.
ALTER TABLE auth_accounts ADD COLUMN disabled_when_deleted boolean NOT NULL DEFAULT false;
