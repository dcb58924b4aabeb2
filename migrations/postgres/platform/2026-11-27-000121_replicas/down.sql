DROP TABLE platform_replicas;
DROP TABLE platform_cache_epoch;
