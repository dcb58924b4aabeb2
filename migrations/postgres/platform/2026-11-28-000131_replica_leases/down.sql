ALTER TABLE platform_replicas DROP COLUMN lease_ms;
