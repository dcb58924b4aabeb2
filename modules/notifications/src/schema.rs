//! The tables of this module, as the migrations make them.

use diesel::table;

table! {
    notifications_messages (id) {
        id -> Uuid,
        to_user -> Nullable<Uuid>,
        to_address -> Nullable<Text>,
        to_phone -> Nullable<Text>,
        address_key -> Nullable<Text>,
        about_user -> Nullable<Uuid>,
        template -> Text,
        locale -> Nullable<Text>,
        data -> Jsonb,
        category -> Text,
        state -> Text,
        deduplication_key -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

table! {
    notifications_deliveries (id) {
        id -> Uuid,
        message_id -> Uuid,
        channel -> Text,
        state -> Text,
        reason -> Nullable<Text>,
        attempts -> BigInt,
        last_attempt -> BigInt,
        due_at -> Nullable<Timestamptz>,
        expires_at -> Timestamptz,
        admitted -> Bool,
        rfc_message_id -> Text,
        last_error -> Nullable<Text>,
        sent_at -> Nullable<Timestamptz>,
        provider -> Nullable<Text>,
        provider_ref -> Nullable<Text>,
        segments -> Nullable<BigInt>,
        receipt_at -> Nullable<Timestamptz>,
        urgent -> Bool,
    }
}

table! {
    notifications_attempts (id) {
        id -> Uuid,
        delivery_id -> Uuid,
        number -> BigInt,
        started_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
        outcome -> Nullable<Text>,
        reason -> Nullable<Text>,
        provider -> Nullable<Text>,
        detail -> Nullable<Text>,
    }
}

table! {
    notifications_mailbox (delivery_id) {
        delivery_id -> Uuid,
        channel -> Text,
        recipient -> Text,
        subject -> Text,
        text -> Text,
        html -> Text,
        links -> Jsonb,
        created_at -> Timestamptz,
    }
}

table! {
    notifications_inbox (id) {
        id -> Uuid,
        user_id -> Uuid,
        sequence -> BigInt,
        message_id -> Uuid,
        template -> Text,
        category -> Text,
        subject -> Text,
        text -> Text,
        links -> Jsonb,
        created_at -> Timestamptz,
        read_at -> Nullable<Timestamptz>,
    }
}

table! {
    notifications_inbox_counters (user_id) {
        user_id -> Uuid,
        last_sequence -> BigInt,
    }
}

table! {
    notifications_preferences (user_id) {
        user_id -> Uuid,
        revision -> BigInt,
        choices -> Jsonb,
        updated_at -> Timestamptz,
    }
}

table! {
    notifications_suppressions (address_key, channel, category) {
        address_key -> Text,
        channel -> Text,
        category -> Text,
        reason -> Text,
        created_at -> Timestamptz,
    }
}

diesel::joinable!(notifications_deliveries -> notifications_messages (message_id));
diesel::allow_tables_to_appear_in_same_query!(notifications_messages, notifications_deliveries);
diesel::allow_tables_to_appear_in_same_query!(notifications_deliveries, notifications_attempts);
