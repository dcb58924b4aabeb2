DROP TABLE permissions_suspended_subjects;
DROP INDEX permissions_assignments_of_groups;
DROP TABLE permissions_group_members;
DROP TABLE permissions_groups;
