//! Times as people and programs read them.

use std::time::{Duration, UNIX_EPOCH};

use fve::Filetime;

/// Milliseconds since 1970 as ISO 8601 in UTC, to the second.
pub(crate) fn time(millis: i64) -> String {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    Filetime::from_system_time_ms(UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn times() {
        assert_eq!(super::time(1_700_000_000_000), "2023-11-14T22:13:20Z");
    }
}
