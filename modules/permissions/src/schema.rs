//! The tables of this module, as diesel sees them. The migrations are the truth; this repeats their columns.

diesel::table! {
    permissions_graph (id) {
        id -> BigInt,
        revision -> BigInt,
    }
}

diesel::table! {
    permissions_roles (name) {
        name -> Text,
        description -> Nullable<Text>,
        permissions -> Jsonb,
        inherits -> Jsonb,
        revision -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    permissions_assignments (id) {
        id -> Uuid,
        subject_type -> Text,
        subject_id -> Uuid,
        role -> Text,
        resource_type -> Nullable<Text>,
        resource_id -> Nullable<Text>,
        expires_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    permissions_groups (id) {
        id -> Uuid,
        name -> Text,
        description -> Nullable<Text>,
        revision -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    permissions_group_members (group_id, member_type, member_id) {
        group_id -> Uuid,
        member_type -> Text,
        member_id -> Uuid,
        added_at -> Timestamptz,
    }
}

diesel::table! {
    permissions_proven_subjects (user_id) {
        user_id -> Uuid,
    }
}

diesel::table! {
    permissions_suspended_subjects (user_id) {
        user_id -> Uuid,
        suspended_at -> Timestamptz,
    }
}

diesel::allow_tables_to_appear_in_same_query!(permissions_graph, permissions_roles);
diesel::allow_tables_to_appear_in_same_query!(permissions_groups, permissions_group_members);
diesel::allow_tables_to_appear_in_same_query!(permissions_assignments, permissions_proven_subjects);
diesel::allow_tables_to_appear_in_same_query!(permissions_assignments, permissions_suspended_subjects);
diesel::allow_tables_to_appear_in_same_query!(permissions_group_members, permissions_proven_subjects);
diesel::allow_tables_to_appear_in_same_query!(permissions_group_members, permissions_suspended_subjects);
