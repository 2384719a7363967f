//! Windows time stamps.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 100-nanosecond ticks since 1601-01-01 UTC, as stored (`u64`, little-endian).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filetime(pub u64);

/// Seconds from 1601-01-01 to 1970-01-01.
const UNIX_EPOCH_SECONDS: u64 = 11_644_473_600;
const TICKS_PER_SECOND: u64 = 10_000_000;

impl Filetime {
    /// The time in seconds since 1970-01-01 UTC; negative before.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        // Both fit: u64::MAX / 10^7 is below 2^41.
        (self.0 / TICKS_PER_SECOND).cast_signed() - UNIX_EPOCH_SECONDS.cast_signed()
    }

    /// The stamp for a system time, cut to whole milliseconds as Windows does for the times of a batch of changes.
    #[must_use]
    pub fn from_system_time_ms(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let ticks = u64::try_from(since.as_millis()).unwrap_or(0).saturating_mul(10_000);
        Self(ticks.saturating_add(UNIX_EPOCH_SECONDS * TICKS_PER_SECOND))
    }
}

impl fmt::Display for Filetime {
    /// ISO 8601 in UTC to the second, for instance `2019-10-31T18:26:43Z`; `never` for zero.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return formatter.write_str("never");
        }
        let seconds = self.unix_seconds();
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400);
        write!(
            formatter,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60
        )
    }
}

/// Year, month and day in the Gregorian calendar of a day counted from 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, so that the leap day is the last of a year; an era has 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(unix_seconds: u64, expected: &str) {
        let time = Filetime::from_system_time_ms(UNIX_EPOCH + Duration::from_secs(unix_seconds));
        assert_eq!(time.to_string(), expected);
    }

    #[test]
    fn dates() {
        check(0, "1970-01-01T00:00:00Z");
        check(951_782_400, "2000-02-29T00:00:00Z");
        check(1_795_478_399, "2026-11-23T23:59:59Z");
        assert_eq!(Filetime(0).to_string(), "never");
        assert!(Filetime(u64::MAX).unix_seconds() > 0);
    }
}
