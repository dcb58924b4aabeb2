DROP TABLE auth_setup;
