//! The tables of this module, as diesel sees them. The migrations are the truth; this repeats their columns.

diesel::table! {
    auth_accounts (id) {
        id -> Uuid,
        email -> Text,
        state -> Text,
        verified_at -> Nullable<Timestamptz>,
        credential_version -> BigInt,
        revision -> BigInt,
        last_login_at -> Nullable<Timestamptz>,
        self_registered -> Bool,
        deleted_at -> Nullable<Timestamptz>,
        disabled_when_deleted -> Bool,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    auth_credentials (account_id) {
        account_id -> Uuid,
        password_hash -> Text,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    auth_one_time_requests (id) {
        id -> Uuid,
        kind -> Text,
        account_id -> Nullable<Uuid>,
        session_id -> Nullable<Uuid>,
        password_hash -> Nullable<Text>,
        credential_version -> Nullable<BigInt>,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    auth_one_time_secrets (hash) {
        hash -> Binary,
        request_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    auth_sessions (id) {
        id -> Uuid,
        account_id -> Uuid,
        credential_version -> BigInt,
        family_key -> Binary,
        client_address -> Nullable<Text>,
        user_agent -> Nullable<Text>,
        created_at -> Timestamptz,
        last_used_at -> Timestamptz,
        expires_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
        revoked_reason -> Nullable<Text>,
    }
}

diesel::table! {
    auth_refresh_tokens (hash) {
        hash -> Binary,
        session_id -> Uuid,
        generation -> BigInt,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    auth_signing_keys (kid) {
        kid -> Text,
        sequence -> BigInt,
        algorithm -> Text,
        private_key -> Binary,
        public_jwk -> Jsonb,
        created_at -> Timestamptz,
        not_before -> Timestamptz,
        retired_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    auth_setup (id) {
        id -> BigInt,
        completed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    auth_devices (fingerprint) {
        fingerprint -> Binary,
        account_id -> Uuid,
        first_seen_at -> Timestamptz,
        last_seen_at -> Timestamptz,
    }
}

diesel::table! {
    auth_purged_accounts (id) {
        id -> Uuid,
        purged_at -> Timestamptz,
    }
}

diesel::joinable!(auth_devices -> auth_accounts (account_id));
diesel::joinable!(auth_credentials -> auth_accounts (account_id));
diesel::joinable!(auth_sessions -> auth_accounts (account_id));
diesel::joinable!(auth_refresh_tokens -> auth_sessions (session_id));
diesel::joinable!(auth_one_time_secrets -> auth_one_time_requests (request_id));
diesel::allow_tables_to_appear_in_same_query!(auth_accounts, auth_credentials, auth_devices, auth_sessions);
diesel::allow_tables_to_appear_in_same_query!(auth_sessions, auth_refresh_tokens);
diesel::allow_tables_to_appear_in_same_query!(auth_one_time_requests, auth_one_time_secrets);
