-- Whose address was proven at some time, as auth has told. An id that nobody has is not here, and neither is somebody who
-- never proved his address: they don't count as administrators. Who is here counts as long as he is not suspended.
CREATE TABLE permissions_proven_subjects (
  user_id uuid PRIMARY KEY
);

-- Until now nobody was asked for a proof: whoever holds something goes on to count.
INSERT INTO permissions_proven_subjects (user_id)
  SELECT subject_id FROM permissions_assignments WHERE subject_type = 'user'
  UNION
  SELECT member_id FROM permissions_group_members WHERE member_type = 'user';
