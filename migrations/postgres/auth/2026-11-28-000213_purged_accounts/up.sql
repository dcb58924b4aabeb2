-- The ids of people who were forgotten for good, and nothing else of them: nobody gets such an id again, because the trail
-- and what belongs to it elsewhere are still there.
CREATE TABLE auth_purged_accounts (
    id uuid PRIMARY KEY,
    purged_at timestamptz NOT NULL
);
