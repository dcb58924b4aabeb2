DROP TABLE platform_limits;
