//! How long lists and searches take among a million users. Run by hand, with `--run-ignored only --no-capture`.

use std::time::Instant;

use platform::db::{Database, Db};
use testkit::both_engines;

use crate::world::World;

/// A million people with a thousand first and a thousand last names, ten domains, and two of three active.
async fn fill(db: &Database) {
    let c = &mut *db.write().await.unwrap();
    if db.dialect() == Db::Postgres {
        c.batch("SET statement_timeout = 0").await.unwrap();
    }
    for part in 0..20 {
        let (from, to) = (part * 50_000, part * 50_000 + 49_999);
        let postgres = [
            format!(
                "INSERT INTO users_directory SELECT lpad(to_hex(n), 32, '0')::uuid, 'first' || n % 1000 || '.last' || \
                 n / 1000 || '@d' || n % 10 || '.example.org', true, (ARRAY['active', 'active', 'disabled'])[1 + n % 3], 1, \
                 to_timestamp(1700000000 + n), now() FROM generate_series({from}, {to}) AS n"
            ),
            format!(
                "INSERT INTO users_search_terms SELECT DISTINCT term, lpad(to_hex(n), 32, '0')::uuid FROM \
                 generate_series({from}, {to}) AS n, LATERAL (VALUES ('first' || n % 1000), ('last' || n / 1000), \
                 ('first' || n % 1000 || '.last' || n / 1000), ('d' || n % 10 || '.example.org'), \
                 ('first' || n % 1000 || '.last' || n / 1000 || '@d' || n % 10 || '.example.org')) AS words (term)"
            ),
        ];
        let numbers = format!(
            "WITH RECURSIVE numbers (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM numbers WHERE n < {to})"
        );
        let (first, last) = ("'first' || (n % 1000)", "'last' || (n / 1000)");
        let domain = "'d' || (n % 10) || '.example.org'";
        let id = "unhex(printf('%032x', n))";
        let sqlite = [
            format!(
                "{numbers} INSERT INTO users_directory SELECT {id}, {first} || '.' || {last} || '@' || {domain}, 1, \
                 CASE n % 3 WHEN 2 THEN 'disabled' ELSE 'active' END, 1, (1700000000 + n) * 1000000, 0 FROM numbers"
            ),
            format!(
                "{numbers} INSERT INTO users_search_terms SELECT {first}, {id} FROM numbers UNION ALL SELECT {last}, {id} \
                 FROM numbers UNION ALL SELECT {domain}, {id} FROM numbers UNION ALL SELECT {first} || '.' || {last}, {id} \
                 FROM numbers UNION ALL SELECT {first} || '.' || {last} || '@' || {domain}, {id} FROM numbers"
            ),
        ];
        for sql in if db.dialect() == Db::Postgres { postgres } else { sqlite } {
            c.batch(&sql).await.unwrap();
        }
    }
    if db.dialect() == Db::Postgres {
        c.batch("VACUUM ANALYZE users_directory").await.unwrap();
        c.batch("VACUUM ANALYZE users_search_terms").await.unwrap();
    }
}

both_engines! {
    #[ignore = "it fills a database with a million users"]
    async fn a_million_users_are_listed_and_searched(db: Database) {
        let world = World::new(db.clone());
        let root = world.admin();
        let begun = Instant::now();
        fill(&db).await;
        println!("filled in {:?}", begun.elapsed());
        for query in [
            "", "sort=email", "state=active", "state=disabled&sort=-email", "q=first500", "q=first5", "q=f", "q=d",
            "q=d3.example.org", "q=first500%20last500", "q=f%20l", "q=first%20last999", "q=first1%20last1%20d1",
            "q=first9%20last0%20d7", "q=first500.last500@d0.example.org", "q=nobody", "q=last9&state=disabled&sort=email",
        ] {
            let (mut times, mut page, mut short) = (Vec::new(), 0, 0);
            let mut cursor = None::<String>;
            for _ in 0..20 {
                let on = cursor.as_ref().map(|it| format!("&cursor={it}")).unwrap_or_default();
                let begun = Instant::now();
                let reply = world.get(&root, &format!("/api/v1/users?{query}{on}")).await.expect(200);
                times.push(begun.elapsed());
                page = page.max(reply.body["items"].as_array().unwrap().len());
                short += usize::from(reply.body["items"].as_array().unwrap().len() < 50);
                cursor = reply.body["next_cursor"].as_str().map(ToOwned::to_owned);
            }
            times.sort_unstable();
            println!("{:?} {query:40} p50 {:?} p95 {:?} max {:?}; at most {page} a page, {short} short",
                db.dialect(), times[10], times[18], times[19]);
        }
    }
}
