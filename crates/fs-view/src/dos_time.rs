//! The calendar of FAT: years from 1980, no time zone; taken as UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fatfs::{Date, DateTime, Time, TimeProvider};

const DAY_SECONDS: u64 = 86_400;

/// A moment from calendar fields; `None` when they are none.
pub(crate) fn to_system_time(year: u16, month: u16, day: u16, seconds_of_day: u64) -> Option<SystemTime> {
    if year < 1980 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_before_year(year) + days_before_month(year, month) + u64::from(day) - 1;
    UNIX_EPOCH.checked_add(Duration::from_secs(days * DAY_SECONDS + seconds_of_day))
}

/// Days from 1970-01-01 to the first of January.
fn days_before_year(year: u16) -> u64 {
    (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum()
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_before_month(year: u16, month: u16) -> u64 {
    (1..month).map(|month| days_in_month(year, month)).sum()
}

fn days_in_month(year: u16, month: u16) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Gives `fatfs` the time in UTC, so that what is written reads back as the same moment everywhere.
#[derive(Debug)]
pub(crate) struct UtcClock;

/// The clock for mounting with write access.
pub(crate) static UTC_CLOCK: UtcClock = UtcClock;

impl TimeProvider for UtcClock {
    fn get_current_date(&self) -> Date {
        self.get_current_date_time().date
    }

    fn get_current_date_time(&self) -> DateTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        from_unix(since)
    }
}

fn from_unix(since: Duration) -> DateTime {
    let small = |value: u64| u16::try_from(value).unwrap_or(0);
    let (mut days, seconds) = (since.as_secs() / DAY_SECONDS, since.as_secs() % DAY_SECONDS);
    let mut year = 1970;
    // The format ends in 2107.
    while year < 2107 && days >= if is_leap(year) { 366 } else { 365 } {
        days -= if is_leap(year) { 366 } else { 365 };
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days >= days_in_month(year, month) {
        days -= days_in_month(year, month);
        month += 1;
    }
    DateTime {
        date: Date { year: year.max(1980), month, day: small(days.min(30) + 1) },
        time: Time {
            hour: small(seconds / 3600),
            min: small(seconds / 60 % 60),
            sec: small(seconds % 60),
            millis: small(since.subsec_millis().into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for seconds in [315_532_800, 951_782_400, 1_709_164_800, 1_795_478_399] {
            let time = from_unix(Duration::from_secs(seconds));
            let of_day = u64::from(time.time.hour) * 3600 + u64::from(time.time.min) * 60 + u64::from(time.time.sec);
            let back = to_system_time(time.date.year, time.date.month, time.date.day, of_day).unwrap();
            assert_eq!(back, UNIX_EPOCH + Duration::from_secs(seconds));
        }
        assert_eq!(to_system_time(1980, 0, 0, 0), None);
    }
}
