//! The platform's tables as diesel sees them. The truth is in `migrations/{postgres,sqlite}/platform`; no other
//! crate may name these tables.

diesel::table! {
    platform_outbox (id) {
        id -> Uuid,
        event_type -> Text,
        envelope -> Jsonb,
        status -> Text,
        attempts -> BigInt,
        created_at -> Timestamptz,
        next_attempt_at -> Timestamptz,
        lease_until -> Nullable<Timestamptz>,
        last_error -> Nullable<Text>,
    }
}

diesel::table! {
    platform_deliveries (id) {
        id -> Uuid,
        event_id -> Uuid,
        subscriber -> Text,
        event_type -> Text,
        envelope -> Jsonb,
        status -> Text,
        attempts -> BigInt,
        created_at -> Timestamptz,
        next_attempt_at -> Timestamptz,
        lease_until -> Nullable<Timestamptz>,
        last_error -> Nullable<Text>,
    }
}

diesel::table! {
    platform_inbox (event_id, subscriber) {
        event_id -> Uuid,
        subscriber -> Text,
        seen_at -> Timestamptz,
    }
}

diesel::table! {
    platform_audit_events (id) {
        id -> Uuid,
        at -> Timestamptz,
        action -> Text,
        outcome -> Text,
        actor_type -> Text,
        actor_id -> Nullable<Text>,
        session_id -> Nullable<Uuid>,
        request_id -> Text,
        client_address -> Nullable<Text>,
        user_agent -> Nullable<Text>,
        subject_type -> Text,
        subject_id -> Text,
        before -> Nullable<Jsonb>,
        after -> Nullable<Jsonb>,
    }
}

diesel::table! {
    platform_limits (key_hash) {
        key_hash -> Binary,
        full_at -> BigInt,
    }
}

diesel::table! {
    platform_idempotency_keys (key_hash) {
        key_hash -> Binary,
        fingerprint -> Binary,
        expires_at -> Timestamptz,
        status -> Nullable<Integer>,
        location -> Nullable<Text>,
        body -> Nullable<Jsonb>,
    }
}

diesel::table! {
    platform_replicas (id) {
        id -> Text,
        beat -> BigInt,
        lease_ms -> BigInt,
        seen_at -> Timestamptz,
    }
}

diesel::table! {
    platform_cache_epoch (only_one) {
        only_one -> SmallInt,
        epoch -> BigInt,
        suspended -> Bool,
        opened -> BigInt,
    }
}

diesel::table! {
    platform_forgotten (person) {
        person -> Uuid,
        next_look_at -> Timestamptz,
        looks -> BigInt,
    }
}
