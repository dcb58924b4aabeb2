-- Who did what to whom, when, from where, with what before and after.
CREATE TABLE platform_audit_events (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('succeeded', 'refused', 'failed')),
    actor_type TEXT NOT NULL CHECK (actor_type IN ('anonymous', 'user', 'module')),
    actor_id TEXT,
    session_id BLOB CHECK (session_id IS NULL OR length(session_id) = 16),
    request_id TEXT NOT NULL,
    client_address TEXT,
    user_agent TEXT,
    subject_type TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    before TEXT CHECK (before IS NULL OR json_valid(before)),
    after TEXT CHECK (after IS NULL OR json_valid(after))
) STRICT;

-- Every filter lists newest first.
CREATE INDEX platform_audit_events_by_time ON platform_audit_events (at, id);
CREATE INDEX platform_audit_events_by_actor ON platform_audit_events (actor_id, at, id);
CREATE INDEX platform_audit_events_by_subject ON platform_audit_events (subject_id, at, id);
CREATE INDEX platform_audit_events_by_action ON platform_audit_events (action, at, id);
