//! The questions that are asked all day run on indexes, however much there is.

use super::{HolderId, assignments, holders, members};
use crate::model::Holder;
use contracts::{GroupId, Time, UserId};
use platform::db::{Database, Db};
use testkit::both_engines;
use testkit::store::plan;

/// How many assignments there are: enough for the engines to prefer indexes.
const ASSIGNMENTS: usize = 40_000;

/// Many users with roles everywhere and on things, and one big group.
async fn fill(db: &Database, users: usize) {
    let mut c = db.write().await.unwrap();
    let series = match c.dialect() {
        Db::Postgres => format!("generate_series(1, {users}) AS s(n)"),
        _ => format!(
            "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {users}) SELECT n FROM s) AS s"
        ),
    };
    let (id, time) = match c.dialect() {
        Db::Postgres => ("gen_random_uuid()", "'2026-11-22T00:00:00Z'::timestamptz"),
        _ => ("randomblob(16)", "0"),
    };
    let sql = format!(
        "INSERT INTO permissions_roles (name, permissions, inherits, revision, created_at, updated_at)
           VALUES ('reader', '[\"documents:read\"]', '[]', 1, {time}, {time});
         INSERT INTO permissions_assignments (id, subject_type, subject_id, role, created_at)
           SELECT {id}, 'user', {id}, 'reader', {time} FROM {series};
         INSERT INTO permissions_assignments (id, subject_type, subject_id, role, resource_type, resource_id, created_at)
           SELECT {id}, 'user', {id}, 'reader', 'documents', 'd' || (n % 10), {time} FROM {series};
         INSERT INTO permissions_groups (id, name, revision, created_at, updated_at)
           SELECT {id}, 'g' || n, 1, {time}, {time} FROM {series} WHERE n <= 50;
         INSERT INTO permissions_group_members (group_id, member_type, member_id, added_at)
           SELECT g.id, 'user', {id}, {time} FROM permissions_groups g, {series} WHERE n <= {some};
         ANALYZE;",
        some = users / 50,
    );
    c.batch(&sql).await.unwrap();
}

both_engines! {
    async fn the_frequent_questions_run_on_indexes(db: Database) {
        fill(&db, ASSIGNMENTS / 2).await;
        let mut c = db.read().await.unwrap();
        let (user, after) = (Holder::User(UserId::new()), HolderId::new());
        let (role, now) = ("reader".to_owned(), Time::from_micros(1_800_000_000_000_000));
        let plans = [
            ("permissions_assignments_subject", plan(&mut c, assignments::of_subject_query(user)).await),
            ("permissions_group_members_member", plan(&mut c, members::of_member_query(user)).await),
            ("permissions_assignments_holders", plan(&mut c, holders::everywhere(role.clone(), now, after, 51)).await),
            (
                "permissions_assignments_resource",
                plan(&mut c, holders::somewhere(role, "documents".into(), "d7".into(), now, after, 51)).await,
            ),
            ("permissions_group_members", plan(&mut c, members::users_of_query(GroupId::new(), after, 51)).await),
        ];
        for (index, plan) in plans {
            assert!(plan.contains(index), "{index} is not used:\n{plan}");
            assert!(!plan.contains("Seq Scan") && !plan.contains("SCAN "), "{index}: everything is read:\n{plan}");
            let sorts = plan.contains("Sort") || plan.contains("TEMP B-TREE");
            // What one subject has may be sorted: it is little.
            let little = index.ends_with("_subject") || index.ends_with("_member");
            assert!(!sorts || little, "{index}: sorted:\n{plan}");
        }
    }

    async fn a_position_is_sought_and_not_walked_to(db: Database) {
        fill(&db, ASSIGNMENTS / 2).await;
        let mut c = db.read().await.unwrap();
        for kind in ["user", "group"] {
            let told = plan(&mut c, members::of_kind(GroupId::new(), kind, Some(HolderId::new()), 51)).await;
            let sought = told.contains("(group_id=? AND member_type=? AND member_id>?)")
                || told.lines().any(|line| {
                    line.contains("Index Cond:") && ["group_id = ", "member_id > "].iter().all(|part| line.contains(part))
                });
            assert!(sought, "{told}");
            assert!(!told.contains("Sort") && !told.contains("TEMP B-TREE"), "sorted:\n{told}");
        }
    }
}
