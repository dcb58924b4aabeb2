CREATE TABLE users_profiles (
  id BLOB PRIMARY KEY NOT NULL,
  display_name TEXT,
  given_name TEXT,
  family_name TEXT,
  phone TEXT,
  locale TEXT,
  time_zone TEXT,
  avatar_url TEXT,
  attributes TEXT NOT NULL CHECK (json_valid(attributes) AND json_type(attributes) = 'object'),
  revision INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users_preferences (
  user_id BLOB NOT NULL,
  namespace TEXT NOT NULL,
  value TEXT NOT NULL CHECK (json_valid(value) AND json_type(value) = 'object'),
  revision INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, namespace)
) STRICT, WITHOUT ROWID;
