//! The tables of this module, as the migrations make them.

use diesel::table;

table! {
    notifications_messages (id) {
        id -> Uuid,
        to_user -> Nullable<Uuid>,
        to_address -> Nullable<Text>,
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
        attempts -> BigInt,
        last_attempt -> BigInt,
        due_at -> Nullable<Timestamptz>,
        rfc_message_id -> Text,
        last_error -> Nullable<Text>,
        sent_at -> Nullable<Timestamptz>,
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

diesel::joinable!(notifications_deliveries -> notifications_messages (message_id));
diesel::allow_tables_to_appear_in_same_query!(notifications_messages, notifications_deliveries);
