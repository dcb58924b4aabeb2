DROP INDEX platform_outbox_by_age;
DROP TABLE platform_forgotten;
