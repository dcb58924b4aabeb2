//! The tables of this module, as diesel sees them. The migrations are the truth; this repeats their columns.

diesel::table! {
    users_profiles (id) {
        id -> Uuid,
        display_name -> Nullable<Text>,
        given_name -> Nullable<Text>,
        family_name -> Nullable<Text>,
        phone -> Nullable<Text>,
        locale -> Nullable<Text>,
        time_zone -> Nullable<Text>,
        avatar_url -> Nullable<Text>,
        attributes -> Jsonb,
        revision -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        removed_preference_revision -> BigInt,
    }
}

diesel::table! {
    users_preferences (user_id, namespace) {
        user_id -> Uuid,
        namespace -> Text,
        value -> Jsonb,
        revision -> BigInt,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    users_directory (id) {
        id -> Uuid,
        email -> Text,
        email_verified -> Bool,
        state -> Text,
        account_revision -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    users_search_terms (term, user_id) {
        term -> Text,
        user_id -> Uuid,
    }
}

diesel::table! {
    users_backfills (name) {
        name -> Text,
        after_id -> Nullable<Uuid>,
        finished_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    users_purges (id) {
        id -> Uuid,
        purged_at -> Timestamptz,
    }
}

diesel::table! {
    users_imports (id) {
        id -> Uuid,
        dry_run -> Bool,
        format -> Text,
        rows -> BigInt,
        created -> BigInt,
        present -> BigInt,
        refused -> BigInt,
        errors -> Jsonb,
        checksum -> Binary,
        started_at -> Timestamptz,
        updated_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
    }
}
