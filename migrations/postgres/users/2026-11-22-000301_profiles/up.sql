CREATE TABLE users_profiles (
  id uuid PRIMARY KEY,
  display_name text,
  given_name text,
  family_name text,
  phone text,
  locale text,
  time_zone text,
  avatar_url text,
  attributes jsonb NOT NULL CHECK (jsonb_typeof(attributes) = 'object'),
  revision bigint NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);

CREATE TABLE users_preferences (
  user_id uuid NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  value jsonb NOT NULL CHECK (jsonb_typeof(value) = 'object'),
  revision bigint NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (user_id, namespace)
);
