DROP TABLE notifications_suppressions;
DROP TABLE notifications_preferences;
