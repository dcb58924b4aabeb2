-- What became of each import, and how far it is: it can be taken up again with the same file.
CREATE TABLE users_imports (
  id uuid PRIMARY KEY,
  dry_run boolean NOT NULL,
  format text NOT NULL CHECK (format IN ('ndjson', 'csv')),
  rows bigint NOT NULL,
  created bigint NOT NULL,
  present bigint NOT NULL,
  refused bigint NOT NULL,
  -- Row, pointer, code and message of the first that were refused, without the values.
  errors jsonb NOT NULL,
  -- SHA-256 over the checksum before it and each row: what comes again must be the same.
  checksum bytea NOT NULL,
  started_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  finished_at timestamptz
);
