ALTER TABLE auth_accounts DROP COLUMN disabled_when_deleted;
