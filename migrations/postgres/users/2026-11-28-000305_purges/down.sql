DROP TABLE users_purges;
