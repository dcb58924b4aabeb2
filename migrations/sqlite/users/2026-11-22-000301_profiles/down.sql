DROP TABLE users_preferences;
DROP TABLE users_profiles;
