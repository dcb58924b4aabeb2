//! The values of `contracts` as columns: ids, times, and the words modules share.

use contracts::auth::AccountState;
use contracts::{
    AssignmentId, AuditEventId, EventId, GroupId, NotificationId, OneTimeRequestId, SessionId, Time, UserId,
};
use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types as st;
use diesel::sqlite::Sqlite;

use super::binds::{POSTGRES_EPOCH_MICROS, Value};
use super::dialect::Db;
use super::values::DbValue;

crate::uuid_column!(
    UserId,
    SessionId,
    OneTimeRequestId,
    EventId,
    AssignmentId,
    GroupId,
    NotificationId,
    AuditEventId,
);

crate::text_column!(AccountState);

impl ToSql<st::Timestamptz, Db> for Time {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Db>) -> serialize::Result {
        out.set_value(Value::Micros(self.micros()));
        Ok(IsNull::No)
    }
}

impl FromSql<st::Timestamptz, Db> for Time {
    fn from_sql(value: DbValue<'_>) -> deserialize::Result<Self> {
        let micros = match value {
            DbValue::Postgres(value) => {
                i64::from_be_bytes(value.as_bytes().try_into()?).saturating_add(POSTGRES_EPOCH_MICROS)
            }
            DbValue::Sqlite(value) => <i64 as FromSql<st::BigInt, Sqlite>>::from_sql(value)?,
        };
        Ok(Self::from_micros(micros))
    }
}
