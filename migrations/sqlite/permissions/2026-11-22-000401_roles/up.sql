-- One row. Whoever changes the roles updates it first, so that changes of roles happen one after the other; its
-- revision names the state of all roles together.
CREATE TABLE permissions_graph (
  id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
  revision INTEGER NOT NULL
) STRICT;

CREATE TABLE permissions_roles (
  name TEXT PRIMARY KEY NOT NULL,
  description TEXT,
  permissions TEXT NOT NULL CHECK (json_valid(permissions) AND json_type(permissions) = 'array'),
  inherits TEXT NOT NULL CHECK (json_valid(inherits) AND json_type(inherits) = 'array'),
  revision INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE permissions_assignments (
  id BLOB PRIMARY KEY NOT NULL,
  subject_type TEXT NOT NULL CHECK (subject_type IN ('user', 'group')),
  subject_id BLOB NOT NULL,
  role TEXT NOT NULL REFERENCES permissions_roles ON DELETE RESTRICT,
  resource_type TEXT,
  resource_id TEXT,
  expires_at INTEGER,
  created_at INTEGER NOT NULL,
  CHECK ((resource_type IS NULL) = (resource_id IS NULL))
) STRICT, WITHOUT ROWID;

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
  ('admin', 'May do everything.', '["*:*"]', '[]', 1, 1795305600000000, 1795305600000000),
  ('member', 'May do everything with own things.', '["own:*"]', '[]', 1, 1795305600000000, 1795305600000000);
