-- What users are listed and searched by: a copy of each account, kept up by auth's events; it can be made again at any
-- time. Whoever is asked about one person asks auth.
CREATE TABLE users_directory (
  id uuid PRIMARY KEY,
  email text COLLATE "C" NOT NULL,
  email_verified boolean NOT NULL,
  state text NOT NULL CHECK (state IN ('unverified', 'active', 'disabled', 'deleted')),
  -- Of the account: what is older never goes over what is newer.
  account_revision bigint NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);

CREATE INDEX users_directory_by_time ON users_directory (created_at, id);
CREATE INDEX users_directory_by_email ON users_directory (email, id);
CREATE INDEX users_directory_by_state_and_time ON users_directory (state, created_at, id);
CREATE INDEX users_directory_by_state_and_email ON users_directory (state, email, id);

-- The words a user is found by: a search for the beginning of a word is a range.
CREATE TABLE users_search_terms (
  term text COLLATE "C" NOT NULL,
  user_id uuid NOT NULL,
  PRIMARY KEY (term, user_id)
);

CREATE INDEX users_search_terms_by_user ON users_search_terms (user_id, term);

-- How far the accounts that were there before the directory are in it.
CREATE TABLE users_backfills (
  name text PRIMARY KEY,
  after_id uuid,
  finished_at timestamptz
);
