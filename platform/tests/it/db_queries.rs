//! The query language as stores use it: the same words mean the same on both engines.

use contracts::{Time, UserId};
use diesel::dsl::{case_when, count_star, exists, max, select};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use platform::db::{Database, DbConn, Error, Json, Result, text_contains};

use crate::db_support::{
    Likes, Note, NoteId, Person, PersonPatch, Role, at, count, insert, notes, people, person, queue,
};

async fn page(
    c: &mut DbConn,
    role: Option<Role>,
    words: Option<&str>,
    after: Option<(Time, UserId)>,
) -> Vec<Person> {
    let mut query =
        people::table.filter(people::deleted_at.is_null()).select(Person::as_select()).into_boxed();
    if let Some(role) = role {
        query = query.filter(people::role.eq(role));
    }
    if let Some(words) = words {
        query = query.filter(text_contains(people::name, words));
    }
    if let Some((time, id)) = after {
        query =
            query.filter(people::created_at.gt(time).or(people::created_at.eq(time).and(people::id.gt(id))));
    }
    query.order((people::created_at.asc(), people::id.asc())).limit(7).load(c).await.unwrap()
}

async fn insert_one(c: &mut DbConn, row: &Person) -> Result<Person> {
    let query = diesel::insert_into(people::table).values(row).returning(Person::as_returning());
    Ok(query.get_result(c).await?)
}

testkit::both_engines! {
    async fn what_is_written_is_read_back(db: Database) {
        let mut c = db.write().await.unwrap();
        for number in 0..2 {
            let mut row = person(number);
            row.deleted_at = Some(Time::MIN);
            assert_eq!(insert_one(&mut c, &row).await.unwrap(), row);
            let found: Person = people::table.find(row.id).select(Person::as_select()).first(&mut c).await.unwrap();
            assert_eq!(found, row);
        }
    }

    async fn a_missing_row_is_not_an_error_of_ours(db: Database) {
        let mut c = db.read().await.unwrap();
        let query = people::table.find(UserId::new()).select(Person::as_select());
        assert_eq!(query.first(&mut c).await.optional().unwrap(), None);
        let error = Error::from(query.first::<Person>(&mut c).await.unwrap_err());
        assert!(matches!(error, Error::NotFound), "{error:?}");
    }

    async fn many_rows_are_one_statement(db: Database) {
        let rows = people(500);
        let inserted = db.transaction(async |tx| insert(tx, &rows).await).await.unwrap();
        assert_eq!((inserted, count(&db).await), (500, 500));
    }

    async fn pages_follow_each_other_without_gaps(db: Database) {
        let c = &mut db.write().await.unwrap();
        insert(c, &people(40)).await.unwrap();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let rows = page(c, Some(Role::Admin), Some("PERSON"), after).await;
            let Some(last) = rows.last() else { break };
            after = Some((last.created_at, last.id));
            seen.extend(rows.into_iter().map(|row| row.logins));
        }
        let all: Vec<i64> = (0..40).step_by(2).collect();
        assert_eq!(seen, all);
    }

    async fn words_are_found_as_they_are(db: Database) {
        let c = &mut db.write().await.unwrap();
        let names = ["100% Ada", "Ada_L", "Back\\slash", "ada"];
        for (number, name) in (0..).zip(names) {
            insert(c, &[Person { name: name.to_owned(), ..person(number) }]).await.unwrap();
        }
        for (words, found) in [("ADA", 3), ("%", 1), ("_", 1), ("\\", 1), ("0% a", 1), ("x", 0), ("", 4)] {
            assert_eq!(page(c, None, Some(words), None).await.len(), found, "{words}");
        }
    }

    async fn an_upsert_updates_what_is_there(db: Database) {
        let c = &mut db.write().await.unwrap();
        let row = person(1);
        insert(c, std::slice::from_ref(&row)).await.unwrap();
        let renamed = Person { name: "Renamed".to_owned(), logins: 99, ..row };
        let stored = diesel::insert_into(people::table)
            .values(&renamed)
            .on_conflict(people::id)
            .do_update()
            .set((people::name.eq(excluded(people::name)), people::logins.eq(people::logins + 1)))
            .returning(Person::as_returning())
            .get_result(c)
            .await
            .unwrap();
        assert_eq!((stored.name.as_str(), stored.logins), ("Renamed", 2));
    }

    async fn a_row_that_is_there_can_be_left_alone(db: Database) {
        let c = &mut db.write().await.unwrap();
        let row = person(1);
        for expected in [1, 0] {
            let query = diesel::insert_into(people::table).values(&row).on_conflict_do_nothing();
            assert_eq!(query.execute(c).await.unwrap(), expected);
        }
    }

    async fn a_patch_changes_what_it_names_and_returns_the_row(db: Database) {
        let c = &mut db.write().await.unwrap();
        let row = person(1);
        insert(c, std::slice::from_ref(&row)).await.unwrap();
        let likes = Json(Likes { colour: String::new(), numbers: Vec::new() });
        let patch = PersonPatch {
            likes: Some(likes.clone()),
            role: Some(Role::Admin),
            deleted_at: Some(Some(at(9))),
            ..PersonPatch::default()
        };
        let query = diesel::update(people::table.find(row.id)).set(patch).returning(Person::as_returning());
        let patched = query.get_result(c).await.unwrap();
        assert_eq!(patched, Person { likes, role: Role::Admin, deleted_at: Some(at(9)), ..row });
        let back = PersonPatch { deleted_at: Some(None), ..PersonPatch::default() };
        let query = diesel::update(people::table.find(patched.id)).set(back).returning(people::deleted_at);
        assert_eq!(query.get_result::<Option<Time>>(c).await.unwrap(), None);
    }

    async fn only_one_of_two_spends_a_secret(db: Database) {
        let row = person(1);
        insert(&mut db.write().await.unwrap(), std::slice::from_ref(&row)).await.unwrap();
        let spend = async || {
            let mut c = db.write().await.unwrap();
            diesel::update(people::table.find(row.id).filter(people::deleted_at.is_null()))
                .set(people::deleted_at.eq(Some(at(1))))
                .returning(people::id)
                .get_result::<UserId>(&mut c)
                .await
                .optional()
                .unwrap()
        };
        let (one, other) = tokio::join!(spend(), spend());
        assert!(one.is_some() != other.is_some(), "{one:?} {other:?}");
    }

    async fn joins_and_lists_of_ids(db: Database) {
        let c = &mut db.write().await.unwrap();
        let rows = people(3);
        insert(c, &rows).await.unwrap();
        for (row, title) in [(&rows[0], "first"), (&rows[1], "second"), (&rows[1], "third")] {
            let note = Note { id: NoteId::new(), author: row.id, title: title.to_owned() };
            diesel::insert_into(notes::table).values(&note).execute(c).await.unwrap();
        }
        let by = async |c: &mut DbConn, authors: Vec<UserId>| -> Vec<(String, String)> {
            let query = notes::table.inner_join(people::table).filter(people::id.eq_any(authors));
            query.order(notes::id).select((notes::title, people::name)).load(c).await.unwrap()
        };
        assert_eq!(by(c, vec![rows[0].id, rows[2].id]).await, [("first".to_owned(), "Person 0".to_owned())]);
        assert_eq!(by(c, rows.iter().map(|row| row.id).collect()).await.len(), 3);
        assert!(by(c, Vec::new()).await.is_empty());

        let mine: Vec<Note> = Note::belonging_to(&rows[1]).select(Note::as_select()).load(c).await.unwrap();
        assert_eq!(mine.len(), 2);
        let silent: Vec<(String, Option<String>)> = people::table
            .left_join(notes::table)
            .filter(notes::id.is_null())
            .select((people::name, notes::title.nullable()))
            .load(c)
            .await
            .unwrap();
        assert_eq!(silent, [("Person 2".to_owned(), None)]);
        let authors = people::table.filter(people::id.eq_any(notes::table.select(notes::author)));
        assert_eq!(authors.count().get_result::<i64>(c).await.unwrap(), 2);
    }

    async fn lists_of_every_kind(db: Database) {
        let c = &mut db.write().await.unwrap();
        insert(c, &people(20)).await.unwrap();
        let names = people::table.filter(people::name.eq_any(["Person 1", "it's \"quoted\"", "Person 2"]));
        assert_eq!(names.count().get_result::<i64>(c).await.unwrap(), 2);
        let numbers = people::table.filter(people::logins.ne_all([1_i64, 2, 3]));
        assert_eq!(numbers.count().get_result::<i64>(c).await.unwrap(), 17);
        let times = people::table.filter(people::created_at.eq_any([at(0), at(7)]));
        assert_eq!(times.count().get_result::<i64>(c).await.unwrap(), 10);
        let roles = people::table.filter(people::role.eq_any([Role::Admin]));
        assert_eq!(roles.count().get_result::<i64>(c).await.unwrap(), 10);
        let bytes = people::table.filter(people::picture.eq_any([vec![0_u8, 255, 39, 0]]));
        assert_eq!(bytes.count().get_result::<i64>(c).await.unwrap(), 10);
        let flags = people::table.filter(people::active.eq_any([true]));
        assert_eq!(flags.count().get_result::<i64>(c).await.unwrap(), 7);
    }

    async fn counting_grouping_and_choosing(db: Database) {
        let c = &mut db.write().await.unwrap();
        insert(c, &people(11)).await.unwrap();
        assert!(select(exists(people::table.filter(people::name.eq("Person 3")))).get_result::<bool>(c).await.unwrap());
        let groups: Vec<(Role, i64, Option<Time>)> = people::table
            .group_by(people::role)
            .select((people::role, count_star(), max(people::created_at)))
            .order(count_star().desc())
            .load(c)
            .await
            .unwrap();
        assert_eq!(groups, [(Role::Admin, 6, Some(at(1))), (Role::Member, 5, Some(at(0)))]);
        let mut roles: Vec<Role> = people::table.select(people::role).distinct().load(c).await.unwrap();
        roles.sort_by_key(|role| role.as_str());
        assert_eq!(roles, [Role::Admin, Role::Member]);
        let words: Vec<String> = people::table
            .select(
                case_when(people::role.eq(Role::Admin), "boss".into_sql::<Text>())
                    .otherwise("worker".into_sql::<Text>()),
            )
            .order(people::logins)
            .limit(2)
            .offset(1)
            .load(c)
            .await
            .unwrap();
        assert_eq!(words, ["worker", "boss"]);
        let greeting: String =
            people::table.filter(people::logins.eq(5)).select(people::name.concat("!")).first(c).await.unwrap();
        assert_eq!(greeting, "Person 5!");
    }

    async fn unions_of_selects(db: Database) {
        let c = &mut db.write().await.unwrap();
        insert(c, &people(5)).await.unwrap();
        let named = |name: &'static str| people::table.select(people::name).filter(people::name.eq(name));
        let mut names: Vec<String> =
            named("Person 1").union(named("Person 2")).union_all(named("Person 1")).load(c).await.unwrap();
        names.sort();
        assert_eq!(names, ["Person 1", "Person 1", "Person 2"]);
    }

    async fn a_table_joined_with_itself(db: Database) {
        let c = &mut db.write().await.unwrap();
        insert(c, &people(6)).await.unwrap();
        let (a, b) = diesel::alias!(people as a, people as b);
        let pairs = a.inner_join(b.on(a.field(people::role).eq(b.field(people::role))));
        assert_eq!(pairs.count().get_result::<i64>(c).await.unwrap(), 18);
    }

    async fn a_deleted_row_is_returned(db: Database) {
        let c = &mut db.write().await.unwrap();
        let row = person(1);
        insert(c, std::slice::from_ref(&row)).await.unwrap();
        let query = diesel::delete(people::table.find(row.id)).returning(people::id);
        assert_eq!(query.get_result::<UserId>(c).await.unwrap(), row.id);
        assert_eq!(diesel::delete(queue::table).execute(c).await.unwrap(), 0);
    }

    async fn a_duplicate_is_told_from_a_dangling_key(db: Database) {
        let c = &mut db.write().await.unwrap();
        let row = person(1);
        insert(c, std::slice::from_ref(&row)).await.unwrap();
        let same_key = Person { id: UserId::new(), ..row.clone() };
        assert!(matches!(insert(c, &[same_key]).await, Err(Error::Duplicate)));
        let same_id = Person { email_key: "other".to_owned(), ..row.clone() };
        assert!(matches!(insert(c, &[same_id]).await, Err(Error::Duplicate)));

        let note = Note { id: NoteId::new(), author: UserId::new(), title: String::new() };
        let dangling = diesel::insert_into(notes::table).values(&note).execute(c).await.map_err(Error::from);
        assert!(matches!(dangling, Err(Error::ForeignKey)), "{dangling:?}");
        let note = Note { author: row.id, ..note };
        diesel::insert_into(notes::table).values(&note).execute(c).await.unwrap();
        let in_use = diesel::delete(people::table.find(row.id)).execute(c).await.map_err(Error::from);
        assert!(matches!(in_use, Err(Error::ForeignKey)), "{in_use:?}");
    }

    async fn an_error_tells_callers_no_sql_and_no_values(db: Database) {
        let c = &mut db.write().await.unwrap();
        let error = c.batch("SELECT nothing FROM nowhere").await.unwrap_err();
        assert_eq!(error.to_string(), "the database refused");
        let told = serde_json::to_string(&contracts::Error::from(error)).unwrap();
        assert!(!told.contains("nowhere"), "{told}");
        let taken = contracts::Error::from(Error::Duplicate);
        assert_eq!((taken.kind, taken.code.as_ref()), (contracts::Kind::Conflict, "platform.already_exists"));
    }

    async fn an_unknown_word_in_a_row_is_an_error(db: Database) {
        let c = &mut db.write().await.unwrap();
        insert(c, &[person(1)]).await.unwrap();
        let read = people::table.select(people::name).load::<String>(c).await.unwrap();
        assert_eq!(read, ["Person 1"]);
        let wrong = select("captain".into_sql::<Text>()).get_result::<Role>(c).await.unwrap_err();
        assert!(!wrong.to_string().contains("captain"), "{wrong}");
    }
}
