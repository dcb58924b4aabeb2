//! An instant in UTC with microseconds: what both databases can hold, so that what is written is what is read back.
//!
//! There is no `now` here; time comes from the platform's clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in UTC, to the microsecond. Written as RFC 3339 (`2026-01-31T09:30:00.123456Z`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, utoipa::ToSchema)]
#[cfg_attr(feature = "sql", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
#[cfg_attr(feature = "sql", diesel(sql_type = diesel::sql_types::Timestamptz))]
#[schema(value_type = String, format = DateTime)]
pub struct Time(i64);

impl Time {
    /// The earliest instant that can be written: year 1.
    pub const MIN: Self = Self(-62_135_596_800_000_000);
    /// The latest instant that can be written: end of year 9999, in UTC.
    pub const MAX: Self = Self(253_402_207_200_000_000 - 1);

    /// The instant so many microseconds after 1970-01-01T00:00:00Z, brought into `MIN..=MAX`.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down: a NumericDate (RFC 7519 section 2).
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The instant a NumericDate stands for.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self::from_micros(seconds.saturating_mul(1_000_000))
    }

    /// So much later; stops at [`Time::MAX`].
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_micros(self.0.saturating_add(micros_of(duration)))
    }

    /// So much earlier; stops at [`Time::MIN`].
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_micros(self.0.saturating_sub(micros_of(duration)))
    }

    /// How long after `earlier`; zero when it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn micros_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => timestamp.fmt(f),
            Err(_) => f.write_str("-"),
        }
    }
}

/// The text is not an RFC 3339 instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time as in RFC 3339, such as 2026-01-31T09:30:00Z")]
pub struct ParseTimeError;

impl FromStr for Time {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        let timestamp: jiff::Timestamp = text.parse().map_err(|_| ParseTimeError)?;
        Ok(Self::from_micros(timestamp.as_microsecond()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read_back() {
        for micros in [0, 1, -1, 1_767_225_600_123_456, Time::MIN.micros(), Time::MAX.micros()] {
            let time = Time::from_micros(micros);
            assert_eq!(time.to_string().parse(), Ok(time), "{time}");
            assert_eq!(serde_json::from_value::<Time>(serde_json::json!(time)).unwrap(), time);
        }
    }

    #[test]
    fn arithmetic_never_leaves_the_calendar() {
        assert_eq!(Time::MAX.plus(Duration::MAX), Time::MAX);
        assert_eq!(Time::MIN.minus(Duration::MAX), Time::MIN);
        assert_eq!(Time::MIN.since(Time::MAX), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn a_time_that_is_read_is_written_the_same(
            text in "[0-9]{4}-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9](:[0-6][0-9](\\.[0-9]{1,9})?)?(Z|[+-][0-2][0-9]:[0-5][0-9])?",
            other in any::<String>(),
            micros: i64,
        ) {
            for text in [text, other] {
                let Ok(time) = text.parse::<Time>() else { continue };
                prop_assert_eq!(time.to_string().parse(), Ok(time));
            }
            let time = Time::from_micros(micros);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }
    }
}
