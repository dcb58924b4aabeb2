//! Many people by SQL: accounts, passwords, profiles, logins, roles and their entries in the audit trail, in the real
//! tables. Everybody has the password of the one who registered first.

use crate::sql::{Sql, has_table};

/// The address of the person with this number.
pub(super) fn address(number: u64) -> String {
    format!("member{number:08}@example.org")
}

/// The name of the person with this number, as it may stand in a URL.
pub(super) fn name(number: u64) -> String {
    format!("member{number:08}")
}

/// How the two engines say the same.
struct Words {
    numbers: String,
    now: &'static str,
    later: &'static str,
    key: &'static str,
    /// The number with eight digits.
    digits: &'static str,
    yes: &'static str,
}

impl Words {
    fn of(sql: &Sql, count: u64) -> Self {
        Self {
            numbers: sql.either(
                format!("FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n)"),
                format!("FROM generate_series(1, {count}::bigint) i"),
            ),
            now: sql.either("(strftime('%s', 'now') * 1000000)", "now()"),
            later: sql.either("((strftime('%s', 'now') + 2000000) * 1000000)", "(now() + interval '20 days')"),
            key: sql.either("unhex(printf('%064x', i))", "decode(lpad(to_hex(i), 64, '0'), 'hex')"),
            digits: sql.either("printf('%08d', i)", "lpad(i::text, 8, '0')"),
            yes: sql.either("1", "true"),
        }
    }
}

/// A UUIDv7 made of a number: the same number gives the same id, and a later one comes later.
fn id(sql: &Sql) -> &'static str {
    sql.either(
        "unhex(printf('%012x', 1790000000000 + i) || printf('7%03x', i % 4096) || printf('8%03x', (i * 7) % 4096) \
         || printf('%012x', (i * 2654435761) % 281474976710656))",
        "(lpad(to_hex(1790000000000 + i), 12, '0') || '7' || lpad(to_hex(i % 4096), 3, '0') || '8' \
         || lpad(to_hex((i * 7) % 4096), 3, '0') || lpad(to_hex((i * 2654435761) % 281474976710656), 12, '0'))::uuid",
    )
}

/// Adds so many people.
pub(super) fn fill(sql: &mut Sql, count: u64) {
    let Words { numbers, now, later, key, digits, yes } = Words::of(sql, count);
    let id = id(sql);
    let texts = sql.texts("password_hash", "FROM auth_credentials ORDER BY updated_at DESC LIMIT 1");
    let hash = texts.first().expect("somebody who registered first");
    let text_id = sql.id(id);
    let mut all = vec![
        format!(
            "INSERT INTO auth_accounts (id, email, state, verified_at, credential_version, revision, self_registered, \
             created_at, updated_at) SELECT {id}, 'member' || {digits} || '@example.org', 'active', {now}, 1, 1, {yes}, \
             {now}, {now} {numbers}"
        ),
        format!(
            "INSERT INTO auth_credentials (account_id, password_hash, updated_at) SELECT {id}, '{hash}', {now} {numbers}"
        ),
        format!(
            "INSERT INTO auth_sessions (id, account_id, credential_version, family_key, created_at, last_used_at, expires_at) \
             SELECT {id}, {id}, 1, {key}, {now}, {now}, {later} {numbers}"
        ),
        format!(
            "INSERT INTO auth_refresh_tokens (hash, session_id, generation, created_at, expires_at) \
             SELECT {key}, {id}, 0, {now}, {later} {numbers}"
        ),
        format!(
            "INSERT INTO users_profiles (id, display_name, attributes, revision, created_at, updated_at) \
             SELECT {id}, 'Member' || {digits} || ' of the town', '{{}}', 1, {now}, {now} {numbers}"
        ),
        format!(
            "INSERT INTO permissions_assignments (id, subject_type, subject_id, role, resource_type, resource_id, created_at) \
             SELECT {id}, 'user', {id}, 'member', 'document', CAST(i % 100 AS TEXT), {now} {numbers}"
        ),
        format!(
            "INSERT INTO platform_audit_events (id, at, action, outcome, actor_type, actor_id, request_id, subject_type, subject_id) \
             SELECT {id}, {now}, 'auth.login.succeeded', 'succeeded', 'user', {text_id}, 'filled', 'user', {text_id} {numbers}"
        ),
    ];
    if has_table(sql, "users_directory") {
        all.push(format!(
            "INSERT INTO users_directory (id, email, email_verified, state, account_revision, created_at, updated_at) \
             SELECT {id}, 'member' || {digits} || '@example.org', {yes}, 'active', 1, {now}, {now} {numbers}"
        ));
        let terms =
            ["'member' || {digits} || '@example.org'", "'member' || {digits}", "'example.org'", "'town'"];
        for term in terms {
            let term = term.replace("{digits}", digits);
            all.push(format!("INSERT INTO users_search_terms (term, user_id) SELECT {term}, {id} {numbers}"));
        }
    }
    sql.run("BEGIN");
    for statement in &all {
        sql.run(statement);
    }
    sql.run("COMMIT");
    // What the servers do by themselves after some minutes.
    sql.run(sql.either("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM ANALYZE"));
}

/// Ids from everywhere.
pub(super) fn sample(sql: &mut Sql, count: u64, wanted: u64) -> Vec<String> {
    let step = (count / wanted).max(1);
    let addresses: Vec<String> =
        (0..wanted.min(count)).map(|number| format!("'{}'", address(1 + number * step))).collect();
    let column = sql.id("id");
    sql.texts(&column, &format!("FROM auth_accounts WHERE email IN ({})", addresses.join(", ")))
}
