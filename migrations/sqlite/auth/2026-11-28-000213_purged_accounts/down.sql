DROP TABLE auth_purged_accounts;
