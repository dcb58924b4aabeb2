-- For how long the process may answer from what it has kept, in milliseconds: who waits for the end of every lease waits for
-- the longest. 0: the process does not say.
ALTER TABLE platform_replicas ADD COLUMN lease_ms bigint NOT NULL DEFAULT 0;
