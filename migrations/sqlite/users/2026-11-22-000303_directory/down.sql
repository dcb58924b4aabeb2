DROP TABLE users_backfills;
DROP TABLE users_search_terms;
DROP TABLE users_directory;
