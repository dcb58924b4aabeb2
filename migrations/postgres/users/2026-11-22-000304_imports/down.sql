DROP TABLE users_imports;
