ALTER TABLE users_profiles DROP COLUMN removed_preference_revision;
