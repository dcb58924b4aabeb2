-- What became of each import, and how far it is: it can be taken up again with the same file.
CREATE TABLE users_imports (
  id BLOB PRIMARY KEY NOT NULL,
  dry_run INTEGER NOT NULL CHECK (dry_run IN (0, 1)),
  format TEXT NOT NULL CHECK (format IN ('ndjson', 'csv')),
  rows INTEGER NOT NULL,
  created INTEGER NOT NULL,
  present INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  -- Row, pointer, code and message of the first that were refused, without the values.
  errors TEXT NOT NULL CHECK (json_valid(errors)),
  -- SHA-256 over the checksum before it and each row: what comes again must be the same.
  checksum BLOB NOT NULL,
  started_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  finished_at INTEGER
) STRICT, WITHOUT ROWID;
