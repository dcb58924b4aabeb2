DROP TABLE auth_credentials;
DROP TABLE auth_accounts;
