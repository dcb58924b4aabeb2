DROP TABLE notifications_mailbox;
DROP TABLE notifications_attempts;
DROP TABLE notifications_deliveries;
DROP TABLE notifications_messages;
