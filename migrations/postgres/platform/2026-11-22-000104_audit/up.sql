-- Who did what to whom, when, from where, with what before and after.
CREATE TABLE platform_audit_events (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    action text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('succeeded', 'refused', 'failed')),
    actor_type text NOT NULL CHECK (actor_type IN ('anonymous', 'user', 'module')),
    actor_id text,
    session_id uuid,
    request_id text NOT NULL,
    client_address text,
    user_agent text,
    subject_type text NOT NULL,
    subject_id text NOT NULL,
    before jsonb,
    after jsonb
);

-- Every filter lists newest first.
CREATE INDEX platform_audit_events_by_time ON platform_audit_events (at, id);
CREATE INDEX platform_audit_events_by_actor ON platform_audit_events (actor_id, at, id);
CREATE INDEX platform_audit_events_by_subject ON platform_audit_events (subject_id, at, id);
CREATE INDEX platform_audit_events_by_action ON platform_audit_events (action, at, id);
