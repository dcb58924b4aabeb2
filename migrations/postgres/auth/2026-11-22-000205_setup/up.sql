-- One row: whether the installation has got its first administrator. Completing it is an update that succeeds once.
CREATE TABLE auth_setup (
    id bigint PRIMARY KEY CHECK (id = 1),
    completed_at timestamptz
);

INSERT INTO auth_setup (id, completed_at) VALUES (1, NULL);
