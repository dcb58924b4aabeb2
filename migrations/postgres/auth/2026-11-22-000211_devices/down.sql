DROP TABLE auth_devices;
