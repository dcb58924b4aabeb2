DROP TABLE permissions_assignments;
DROP TABLE permissions_roles;
DROP TABLE permissions_graph;
