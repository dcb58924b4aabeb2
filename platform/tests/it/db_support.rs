//! Tables for the database room's own tests: two that point at each other, and a queue. They are made in the test,
//! so that these tests depend on no shipped migration.

use contracts::{EventId, Time, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{Database, Db, DbConn, Json, Migration, Migrations, Result};
use serde::{Deserialize, Serialize};

diesel::table! {
    people (id) {
        id -> Uuid,
        email_key -> Text,
        name -> Text,
        role -> Text,
        likes -> Jsonb,
        logins -> BigInt,
        active -> Bool,
        picture -> Nullable<Binary>,
        created_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    notes (id) {
        id -> Uuid,
        author -> Uuid,
        title -> Text,
    }
}

diesel::table! {
    queue (id) {
        id -> Uuid,
        taken_at -> Nullable<Timestamptz>,
    }
}

diesel::joinable!(notes -> people (author));
diesel::allow_tables_to_appear_in_same_query!(people, notes, queue);

pub const TABLES: Migrations = Migrations {
    module: "tests",
    steps: &[Migration {
        name: "2026-11-22-990001_tables",
        postgres: "CREATE TABLE people (
                id uuid PRIMARY KEY, email_key text NOT NULL UNIQUE, name text NOT NULL,
                role text NOT NULL CHECK (role IN ('member', 'admin')), likes jsonb NOT NULL, logins bigint NOT NULL,
                active boolean NOT NULL, picture bytea, created_at timestamptz NOT NULL, deleted_at timestamptz);
            CREATE TABLE notes (id uuid PRIMARY KEY, author uuid NOT NULL REFERENCES people, title text NOT NULL);
            CREATE TABLE queue (id uuid PRIMARY KEY, taken_at timestamptz)",
        sqlite: "CREATE TABLE people (
                id BLOB PRIMARY KEY NOT NULL, email_key TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
                role TEXT NOT NULL CHECK (role IN ('member', 'admin')), likes TEXT NOT NULL CHECK (json_valid(likes)),
                logins INTEGER NOT NULL, active INTEGER NOT NULL, picture BLOB, created_at INTEGER NOT NULL,
                deleted_at INTEGER) STRICT, WITHOUT ROWID;
            CREATE TABLE notes (id BLOB PRIMARY KEY NOT NULL, author BLOB NOT NULL REFERENCES people,
                title TEXT NOT NULL) STRICT, WITHOUT ROWID;
            CREATE TABLE queue (id BLOB PRIMARY KEY NOT NULL, taken_at INTEGER) STRICT, WITHOUT ROWID",
    }],
};

platform::text_enum! {
    /// What a person may do.
    pub enum Role { Member = "member", Admin = "admin" }
}

platform::id_type! {
    /// A note.
    pub struct NoteId;
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Likes {
    pub colour: String,
    pub numbers: Vec<i64>,
}

#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Insertable, Identifiable)]
#[diesel(table_name = people, check_for_backend(Db), treat_none_as_default_value = false)]
pub struct Person {
    pub id: UserId,
    pub email_key: String,
    pub name: String,
    pub role: Role,
    pub likes: Json<Likes>,
    pub logins: i64,
    pub active: bool,
    pub picture: Option<Vec<u8>>,
    pub created_at: Time,
    pub deleted_at: Option<Time>,
}

#[derive(Default, AsChangeset)]
#[diesel(table_name = people)]
pub struct PersonPatch {
    pub name: Option<String>,
    pub role: Option<Role>,
    pub likes: Option<Json<Likes>>,
    pub deleted_at: Option<Option<Time>>,
}

#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Insertable, Identifiable, Associations)]
#[diesel(table_name = notes, belongs_to(Person, foreign_key = author))]
#[diesel(check_for_backend(Db), treat_none_as_default_value = false)]
pub struct Note {
    pub id: NoteId,
    pub author: UserId,
    pub title: String,
}

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = queue, check_for_backend(Db), treat_none_as_default_value = false)]
pub struct Job {
    pub id: EventId,
    pub taken_at: Option<Time>,
}

/// 2026-11-22T10:00:00.123456Z, and so many seconds.
pub fn at(seconds: i64) -> Time {
    Time::from_micros(1_795_341_600_123_456 + seconds * 1_000_000)
}

/// The person with this number.
pub fn person(number: i64) -> Person {
    Person {
        id: UserId::new(),
        email_key: format!("person{number}@example.org"),
        name: format!("Person {number}"),
        role: if number % 2 == 0 { Role::Admin } else { Role::Member },
        likes: Json(Likes { colour: "grün \"ß\" 🦀".to_owned(), numbers: vec![number, -1, i64::MAX] }),
        logins: number,
        active: number % 3 == 0,
        picture: (number % 2 == 0).then(|| vec![0, 255, 39, 0]),
        created_at: at(number / 10),
        deleted_at: None,
    }
}

pub fn people(count: i64) -> Vec<Person> {
    (0..count).map(person).collect()
}

pub async fn insert(c: &mut DbConn, rows: &[Person]) -> Result<usize> {
    Ok(diesel::insert_into(people::table).values(rows).execute(c).await?)
}

/// How many people there are, as another connection sees it.
pub async fn count(db: &Database) -> i64 {
    people::table.count().get_result(&mut db.read().await.unwrap()).await.unwrap()
}
