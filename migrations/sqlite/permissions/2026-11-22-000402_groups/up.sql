-- Subjects that have members. Whoever writes a group, or puts one group into another, updates permissions_graph first.
CREATE TABLE permissions_groups (
  id BLOB PRIMARY KEY NOT NULL,
  name TEXT NOT NULL UNIQUE,
  description TEXT,
  revision INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who is in a group: users, and groups with all who are in those.
CREATE TABLE permissions_group_members (
  group_id BLOB NOT NULL REFERENCES permissions_groups ON DELETE CASCADE,
  member_type TEXT NOT NULL CHECK (member_type IN ('user', 'group')),
  member_id BLOB NOT NULL,
  added_at INTEGER NOT NULL,
  PRIMARY KEY (group_id, member_type, member_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX permissions_group_members_member ON permissions_group_members (member_id, member_type, group_id);
CREATE INDEX permissions_group_members_nested
  ON permissions_group_members (group_id, member_id) WHERE member_type = 'group';

-- What groups hold is read as a whole.
CREATE INDEX permissions_assignments_of_groups ON permissions_assignments (id) WHERE subject_type = 'group';

-- Whose account can't be used: they don't count as administrators.
CREATE TABLE permissions_suspended_subjects (
  user_id BLOB PRIMARY KEY NOT NULL,
  suspended_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
