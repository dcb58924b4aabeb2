DROP TABLE auth_one_time_secrets;
DROP TABLE auth_one_time_requests;
