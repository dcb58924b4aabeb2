DROP TABLE platform_inbox;
