DROP TABLE notifications_inbox_counters;
DROP TABLE notifications_inbox;
