//! Times as people and programs read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fve::Filetime;

const DAY_SECONDS: i64 = 86_400;
/// Ticks of 100 nanoseconds from 1601 to 1970.
const UNIX_EPOCH_TICKS: u64 = 11_644_473_600 * 10_000_000;

/// Milliseconds since 1970 as ISO 8601 in UTC, to the second.
pub(crate) fn time(millis: i64) -> String {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    Filetime::from_system_time_ms(UNIX_EPOCH + since).to_string()
}

/// A time as ISO 8601 in UTC, to the second. Before 1601 no time of Windows is possible.
pub(crate) fn of(time: SystemTime) -> String {
    let ticks = |since: Duration| u64::try_from(since.as_nanos() / 100).unwrap_or(u64::MAX);
    let ticks = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => UNIX_EPOCH_TICKS.saturating_add(ticks(since)),
        Err(before) => UNIX_EPOCH_TICKS.saturating_sub(ticks(before.duration())).max(1),
    };
    Filetime(ticks).to_string()
}

/// A date, or a date with a time, in UTC: `2024-05-01`, `2024-05-01T12:30`, `2024-05-01 12:30:00Z`.
pub(crate) fn parse(text: &str) -> Result<SystemTime, String> {
    parsed(text).ok_or_else(|| "expected a date such as 2024-05-01 or 2024-05-01T12:30 (in UTC)".to_owned())
}

fn parsed(text: &str) -> Option<SystemTime> {
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let [year, month, day] = numbers(date, '-')?[..] else { return None };
    let (hour, minute, second) = match numbers(clock.strip_suffix('Z').unwrap_or(clock), ':')?[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    if !(1601..=9999).contains(&year) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_before(year, month, day)? * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    let since = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH.checked_sub(since) } else { UNIX_EPOCH.checked_add(since) }
}

fn numbers(text: &str, separator: char) -> Option<Vec<i64>> {
    let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten();
    text.split(separator).map(number).collect()
}

/// Days from 1970 to a day of the calendar; `None` when the month has no such day.
fn days_before(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    if !(1..=*lengths.get(index)?).contains(&day) {
        return None;
    }
    let leap_days = |year: i64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    Some(years + lengths.iter().take(index).sum::<i64>() + day - 1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_are_read_as_they_are_written() {
        for (text, expected) in [
            ("1970-01-01", "1970-01-01T00:00:00Z"),
            ("2024-02-29T23:59:58", "2024-02-29T23:59:58Z"),
            ("2000-12-31 12:30", "2000-12-31T12:30:00Z"),
            ("1969-07-20T20:17:40Z", "1969-07-20T20:17:40Z"),
            ("1601-01-01T00:00:01", "1601-01-01T00:00:01Z"),
            ("2400-03-01", "2400-03-01T00:00:00Z"),
        ] {
            assert_eq!(super::of(super::parse(text).unwrap()), expected);
        }
        for text in ["", "2023-02-29", "2023-13-01", "2023-00-01", "2023-1", "1500-01-01", "2023-01-01T24:00", "a-b-c"]
        {
            assert!(super::parse(text).is_err(), "{text}");
        }
        assert!(super::parse("2023-01-01T1:2:3:4").is_err() && super::parse("2023-+1-01").is_err());
    }

    #[test]
    fn times() {
        assert_eq!(super::time(1_700_000_000_000), "2023-11-14T22:13:20Z");
    }
}
