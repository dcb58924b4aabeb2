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
