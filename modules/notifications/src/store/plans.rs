//! What a worker asks all day runs along an index, on both engines, however many deliveries are over or wait.

use diesel::query_builder::QueryFragment;
use platform::db::Database;
use testkit::both_engines;

use super::*;

async fn plan<Q: QueryFragment<Db> + Send>(db: &Database, query: Q) -> String {
    testkit::store::plan(&mut db.read().await.unwrap(), query).await
}

/// 20,000 deliveries: half of them over, a campaign that is due, and a few that are urgent.
async fn fill(db: &Database) {
    let c = &mut *db.write().await.unwrap();
    let (numbers, id, time, due, yes, no) = if db.dialect() == Db::Postgres {
        let due = "CASE n % 2 WHEN 0 THEN to_timestamp(1700000000 + n) END";
        (
            "generate_series(1, 20000) AS s (n)",
            "lpad(to_hex(n), 32, '0')::uuid",
            "now()",
            due,
            "true",
            "false",
        )
    } else {
        let numbers = "(WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 20000) SELECT n FROM s) AS s";
        let due = "CASE n % 2 WHEN 0 THEN (1700000000 + n) * 1000000 END";
        (numbers, "unhex(printf('%032x', n))", "0", due, "1", "0")
    };
    let sql = format!(
        "INSERT INTO notifications_messages (id, to_address, template, data, category, state, created_at, updated_at)
           SELECT {id}, 'mia@example.org', 'announcement', '{{}}', 'general', 'queued', {time}, {time} FROM {numbers};
         INSERT INTO notifications_deliveries (id, message_id, channel, state, attempts, last_attempt, due_at, expires_at,
             admitted, rfc_message_id, urgent)
           SELECT {id}, {id}, 'email', CASE n % 2 WHEN 0 THEN 'queued' ELSE 'sent' END, 0, 1, {due}, {time}, {no}, 'x',
             CASE n % 500 WHEN 0 THEN {yes} ELSE {no} END FROM {numbers};
         ANALYZE;",
    );
    c.batch(&sql).await.unwrap();
}

fn runs_along(index: &str, what: &str, plan: &str) {
    assert!(plan.contains(index), "{what}: {index} is not used:\n{plan}");
    // Those that are due at the same instant may be sorted: they are few.
    let plan = plan.replace("Incremental Sort", "").replace("Sort Key", "") + "\n";
    for bad in ["Seq Scan", "Sort", "SCAN notifications_deliveries\n", "TEMP B-TREE"] {
        assert!(!plan.contains(bad), "{what}: {bad} in\n{plan}");
    }
}

both_engines! {
    async fn what_is_due_is_found_along_an_index_urgent_or_not(db: Database) {
        fill(&db).await;
        let now = Time::from_seconds(1_700_030_000);
        // Of those that are not urgent nearly all are due in the order of the older index, which serves as well.
        for (urgent, index) in [(true, "notifications_deliveries_due_by_urgency"), (false, "notifications_deliveries_due")] {
            let told = plan(&db, due_query(now, urgent, 8).skip_locked_rows()).await;
            runs_along(index, &format!("urgent: {urgent}"), &told);
        }
        let told = plan(&db, first_of_all().limit(1)).await;
        runs_along("notifications_deliveries_due", "the first of all", &told);
        let told = plan(&db, first_urgent().limit(1)).await;
        runs_along("notifications_deliveries_due_by_urgency", "the first that is urgent", &told);
    }

    async fn what_is_urgent_is_found_behind_any_queue(db: Database) {
        fill(&db).await;
        let c = &mut *db.write().await.unwrap();
        let found = due(c, Time::from_seconds(1_700_030_000), true, 100).await.unwrap();
        assert_eq!(found.len(), 40);
        assert!(found.iter().all(|delivery| delivery.urgent));
        let (first, urgent) = (first_due(c, false).await.unwrap(), first_due(c, true).await.unwrap());
        assert_eq!(first, Some(Time::from_seconds(1_700_000_002)));
        assert_eq!(urgent, Some(Time::from_seconds(1_700_000_500)));
    }
}
