//! Column types of our own: JSON documents, and the macros for ids and closed sets of words that one module keeps
//! to itself. Those that cross modules are in `contracts`.

use std::fmt;

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types as st;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::binds::Value;
use super::dialect::Db;
use super::values::DbValue;

/// Anything serde can write, in a `jsonb` or TEXT column.
#[derive(Clone, Debug, Default, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = st::Jsonb)]
pub struct Json<T: fmt::Debug>(pub T);

impl<T: Serialize + fmt::Debug> ToSql<st::Jsonb, Db> for Json<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Db>) -> serialize::Result {
        out.set_value(Value::Json(serde_json::to_string(&self.0)?));
        Ok(IsNull::No)
    }
}

impl<T: DeserializeOwned + fmt::Debug> FromSql<st::Jsonb, Db> for Json<T> {
    fn from_sql(value: DbValue<'_>) -> deserialize::Result<Self> {
        let read = match value {
            // One byte of version, then the text.
            DbValue::Postgres(value) => serde_json::from_slice(value.as_bytes().get(1..).unwrap_or_default()),
            DbValue::Sqlite(mut value) => serde_json::from_str(value.read_text()),
        };
        // serde's own words may repeat what is stored.
        read.map(Self)
            .map_err(|error| format!("the stored JSON does not fit, column {}", error.column()).into())
    }
}

/// Makes an id type that one module keeps to itself: a UUIDv7 in a `uuid` or BLOB column, sorting by creation time.
#[macro_export]
macro_rules! id_type {
    ($($(#[$meta:meta])* $visibility:vis struct $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize,
            $crate::db::expansion::AsExpression, $crate::db::expansion::FromSqlRow,
        )]
        #[diesel(sql_type = $crate::db::expansion::sql_types::Uuid)]
        #[serde(transparent)]
        $visibility struct $name($crate::db::expansion::Uuid);

        #[allow(dead_code, reason = "not every id needs every way")]
        impl $name {
            /// A fresh id.
            #[allow(clippy::new_without_default, reason = "a default id would be a new one each time")]
            #[must_use]
            $visibility fn new() -> Self {
                Self($crate::db::expansion::Uuid::now_v7())
            }

            /// The id that a stored or received UUID stands for.
            #[must_use]
            $visibility const fn from_uuid(uuid: $crate::db::expansion::Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID beneath.
            #[must_use]
            $visibility const fn uuid(self) -> $crate::db::expansion::Uuid {
                self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        $crate::uuid_column!($name);
    )+};
}

/// Lets a type with `uuid()` and `from_uuid()` be a `uuid` column.
#[doc(hidden)]
#[macro_export]
macro_rules! uuid_column {
    ($($name:ty),+ $(,)?) => {$(
        impl $crate::db::expansion::ToSql<$crate::db::expansion::sql_types::Uuid, $crate::db::Db> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut $crate::db::expansion::Output<'b, '_, $crate::db::Db>,
            ) -> $crate::db::expansion::ToSqlResult {
                out.set_value($crate::db::Value::Uuid(self.uuid()));
                Ok($crate::db::expansion::IsNull::No)
            }
        }

        impl $crate::db::expansion::FromSql<$crate::db::expansion::sql_types::Uuid, $crate::db::Db> for $name {
            fn from_sql(value: $crate::db::DbValue<'_>) -> $crate::db::expansion::FromSqlResult<Self> {
                <$crate::db::expansion::Uuid as $crate::db::expansion::FromSql<
                    $crate::db::expansion::sql_types::Uuid,
                    $crate::db::Db,
                >>::from_sql(value)
                .map(Self::from_uuid)
            }
        }
    )+};
}

/// Makes a closed set of words, stored as text with a CHECK on both engines: `Self::ALL`, `as_str`, `from_word`.
#[macro_export]
macro_rules! text_enum {
    ($($(#[$meta:meta])* $visibility:vis enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)?
    })+) => {$(
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash,
            $crate::db::expansion::AsExpression, $crate::db::expansion::FromSqlRow,
        )]
        #[diesel(sql_type = $crate::db::expansion::sql_types::Text)]
        $visibility enum $name {
            $($(#[$variant_meta])* $variant),+
        }

        #[allow(dead_code, reason = "not every set needs every way")]
        impl $name {
            /// Every word.
            $visibility const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word it is stored as.
            #[must_use]
            $visibility const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// What a word stands for.
            #[must_use]
            $visibility fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        $crate::text_column!($name);
    )+};
}

/// Lets a type with `as_str()` and `from_word()` be a text column.
#[doc(hidden)]
#[macro_export]
macro_rules! text_column {
    ($($name:ty),+ $(,)?) => {$(
        impl $crate::db::expansion::ToSql<$crate::db::expansion::sql_types::Text, $crate::db::Db> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut $crate::db::expansion::Output<'b, '_, $crate::db::Db>,
            ) -> $crate::db::expansion::ToSqlResult {
                out.set_value($crate::db::Value::Text(self.as_str().to_owned()));
                Ok($crate::db::expansion::IsNull::No)
            }
        }

        impl $crate::db::expansion::FromSql<$crate::db::expansion::sql_types::Text, $crate::db::Db> for $name {
            fn from_sql(value: $crate::db::DbValue<'_>) -> $crate::db::expansion::FromSqlResult<Self> {
                let word = <String as $crate::db::expansion::FromSql<
                    $crate::db::expansion::sql_types::Text,
                    $crate::db::Db,
                >>::from_sql(value)?;
                Self::from_word(&word)
                    .ok_or_else(|| concat!("a word that is no ", stringify!($name)).into())
            }
        }
    )+};
}
