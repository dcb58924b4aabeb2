-- Whose account is gone for good, and since when: an account that was read before that makes no rows any more.
CREATE TABLE users_purges (
  id uuid PRIMARY KEY,
  -- As auth tells it: compared with when an account last changed.
  purged_at timestamptz NOT NULL
);
