//! Every list and search runs along an index, on both engines: with as many rows as make an engine think about it, the
//! plans read no whole table and sort none.

use contracts::UserId;
use contracts::auth::AccountState;
use diesel::query_builder::QueryFragment;
use platform::db::Database;
use testkit::both_engines;

use super::*;
use crate::store::search;

async fn plan<Q: QueryFragment<Db> + Send>(db: &Database, query: Q) -> String {
    testkit::store::plan(&mut db.read().await.unwrap(), query).await
}

/// 20,000 people: half of them in January, two of three active, each with a word of his own and two that many have.
pub(in crate::store) async fn fill(db: &Database) {
    let c = &mut *db.write().await.unwrap();
    let sql = if db.dialect() == Db::Postgres {
        "INSERT INTO users_directory SELECT lpad(to_hex(n), 32, '0')::uuid, 'user' || n || '@example.org', true, \
         (ARRAY['active', 'active', 'disabled'])[1 + n % 3], 1, to_timestamp(1700000000 + n / 2), now() \
         FROM generate_series(1, 20000) AS n; \
         INSERT INTO users_search_terms SELECT term, id FROM users_directory, LATERAL (VALUES (email), ('example.org'), \
         (split_part(email, '@', 1)), ('mia' || substr(email, 5, 1))) AS words (term); ANALYZE;"
    } else {
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20000) \
         INSERT INTO users_directory SELECT unhex(printf('%032x', n)), 'user' || n || '@example.org', 1, \
         CASE n % 3 WHEN 2 THEN 'disabled' ELSE 'active' END, 1, (1700000000 + n / 2) * 1000000, 0 FROM numbers; \
         INSERT INTO users_search_terms SELECT email, id FROM users_directory \
         UNION ALL SELECT 'example.org', id FROM users_directory \
         UNION ALL SELECT substr(email, 1, instr(email, '@') - 1), id FROM users_directory \
         UNION ALL SELECT 'mia' || substr(email, 5, 1), id FROM users_directory;"
    };
    c.batch(sql).await.unwrap();
}

fn runs_along_an_index(what: &str, plan: &str) {
    for bad in ["Seq Scan", "Sort", "SCAN users", "TEMP B-TREE"] {
        let along = plan.contains("USING INDEX") || plan.contains("USING COVERING INDEX");
        let bad_here = plan.contains(bad) && !(bad == "SCAN users" && along);
        assert!(!bad_here, "{what}: {bad} in\n{plan}");
    }
}

both_engines! {
    async fn every_list_and_search_runs_along_an_index(db: Database) {
        fill(&db).await;
        let id = UserId::from_uuid("00000000-0000-0000-0000-000000002710".parse().unwrap());
        let time = Position::Time(contracts::Time::from_seconds(1_700_005_000), id);
        let email = Position::Email("user5@example.org".to_owned(), id);
        let orders =
            [(Sort::Newest, &time), (Sort::Oldest, &time), (Sort::Email, &email), (Sort::EmailBackwards, &email)];
        for (sort, position) in orders {
            for state in [None, Some(AccountState::Active)] {
                for after in [None, Some(position)] {
                    let told = plan(&db, ordered(sort, state, after).limit(51)).await;
                    runs_along_an_index(&format!("{sort:?} {state:?} {after:?}"), &told);
                }
            }
        }
        let ids: Vec<UserId> = walk(&mut db.read().await.unwrap(), Sort::Newest, None, None, 400)
            .await.unwrap().into_iter().map(|entry| entry.id).collect();
        for word in ["user1", "u", "example.org", "user19999@example.org", "nobody", "mia"] {
            runs_along_an_index(word, &plan(&db, search::beginning(word).limit(5_001)).await);
            runs_along_an_index(word, &plan(&db, search::of_these(&ids, word)).await);
        }
        let ids = ids.get(..51).unwrap().to_vec();
        let some = directory::table.filter(directory::id.eq_any(ids)).select(Row::as_select());
        runs_along_an_index("entries by id", &plan(&db, some).await);
    }

    async fn a_position_is_sought_and_not_walked_to(db: Database) {
        fill(&db).await;
        let id = UserId::from_uuid("00000000-0000-0000-0000-000000002710".parse().unwrap());
        let position = Position::Time(contracts::Time::from_seconds(1_700_005_000), id);
        let told = plan(&db, ordered(Sort::Newest, None, Some(&position)).limit(51)).await;
        let sought = told.contains("Index Cond: (created_at <= ") || told.contains("(created_at<?)");
        assert!(sought, "{told}");
    }
}
