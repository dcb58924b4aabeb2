-- One row. Whoever changes the roles updates it first, so that changes of roles happen one after the other; its
-- revision names the state of all roles together.
CREATE TABLE permissions_graph (
  id bigint PRIMARY KEY CHECK (id = 1),
  revision bigint NOT NULL
);

CREATE TABLE permissions_roles (
  name text COLLATE "C" PRIMARY KEY,
  description text,
  permissions jsonb NOT NULL CHECK (jsonb_typeof(permissions) = 'array'),
  inherits jsonb NOT NULL CHECK (jsonb_typeof(inherits) = 'array'),
  revision bigint NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);

CREATE TABLE permissions_assignments (
  id uuid PRIMARY KEY,
  subject_type text NOT NULL CHECK (subject_type IN ('user', 'group')),
  subject_id uuid NOT NULL,
  role text COLLATE "C" NOT NULL REFERENCES permissions_roles ON DELETE RESTRICT,
  resource_type text,
  resource_id text,
  expires_at timestamptz,
  created_at timestamptz NOT NULL,
  CHECK ((resource_type IS NULL) = (resource_id IS NULL))
);

-- Once for each subject and role everywhere, and once for each resource.
CREATE UNIQUE INDEX permissions_assignments_everywhere
  ON permissions_assignments (subject_type, subject_id, role) WHERE resource_type IS NULL;
CREATE UNIQUE INDEX permissions_assignments_somewhere
  ON permissions_assignments (subject_type, subject_id, role, resource_type, resource_id)
  WHERE resource_type IS NOT NULL;
CREATE INDEX permissions_assignments_role ON permissions_assignments (role, id);
-- What one subject holds.
CREATE INDEX permissions_assignments_subject ON permissions_assignments (subject_id, id);
-- Who holds a role everywhere, and who holds it on one resource, in the order of the holders.
CREATE INDEX permissions_assignments_holders
  ON permissions_assignments (role, subject_type, subject_id) WHERE resource_type IS NULL;
CREATE INDEX permissions_assignments_resource
  ON permissions_assignments (resource_type, resource_id, role, subject_type, subject_id)
  WHERE resource_type IS NOT NULL;
CREATE INDEX permissions_assignments_end ON permissions_assignments (expires_at) WHERE expires_at IS NOT NULL;

INSERT INTO permissions_graph (id, revision) VALUES (1, 1);
INSERT INTO permissions_roles (name, description, permissions, inherits, revision, created_at, updated_at) VALUES
  ('admin', 'May do everything.', '["*:*"]', '[]', 1, '2026-11-22T00:00:00Z', '2026-11-22T00:00:00Z'),
  ('member', 'May do everything with own things.', '["own:*"]', '[]', 1, '2026-11-22T00:00:00Z', '2026-11-22T00:00:00Z');
