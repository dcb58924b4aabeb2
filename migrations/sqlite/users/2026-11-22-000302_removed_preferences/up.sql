-- The highest revision of any namespace that was removed: one that is made again begins above it.
ALTER TABLE users_profiles ADD COLUMN removed_preference_revision INTEGER NOT NULL DEFAULT 0;
