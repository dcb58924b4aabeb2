DROP TABLE platform_audit_events;
