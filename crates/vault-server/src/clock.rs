//! The time, as an argument: everything that expires is tested without waiting.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One second in milliseconds.
pub(crate) const SECOND: i64 = 1000;
/// One minute in milliseconds.
pub(crate) const MINUTE: i64 = 60 * SECOND;
/// One hour in milliseconds.
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// One day in milliseconds.
pub(crate) const DAY: i64 = 24 * HOUR;

/// Where the server learns what time it is.
pub trait Clock: Debug + Send + Sync {
    /// Milliseconds since 1970, UTC.
    fn now_ms(&self) -> i64;

    /// Milliseconds since some moment; never goes back, whatever is done to the clock.
    fn steady_ms(&self) -> i64;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn steady_ms(&self) -> i64 {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        i64::try_from(FIRST.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// A clock that is set by hand.
#[derive(Debug)]
pub struct ManualClock {
    now_ms: AtomicI64,
    steady_ms: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `now_ms`.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self { now_ms: AtomicI64::new(now_ms), steady_ms: AtomicI64::new(0) }
    }

    /// Lets time pass.
    pub fn advance_ms(&self, by_ms: i64) {
        self.now_ms.fetch_add(by_ms, Ordering::SeqCst);
        self.steady_ms.fetch_add(by_ms.max(0), Ordering::SeqCst);
    }

    /// Sets the clock, as somebody does whose clock was wrong: no time passes.
    pub fn set_ms(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn steady_ms(&self) -> i64 {
        self.steady_ms.load(Ordering::SeqCst)
    }
}

/// Time that never goes back: while the clock stands behind what it showed before, time goes on from there at its own pace.
#[derive(Debug)]
pub(crate) struct Timeline {
    clock: Arc<dyn Clock>,
    /// The newest time that was told, and when that was on the steady clock.
    newest: Mutex<(i64, i64)>,
}

impl Timeline {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let newest = Mutex::new((clock.now_ms(), clock.steady_ms()));
        Self { clock, newest }
    }

    /// The time by which things expire.
    pub(crate) fn now_ms(&self) -> i64 {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let steady = self.clock.steady_ms();
        let lasting = newest.0.saturating_add(steady.saturating_sub(newest.1));
        *newest = (self.clock.now_ms().max(lasting), steady);
        newest.0
    }

    /// What the clock shows: the time of authenticators.
    pub(crate) fn clock_ms(&self) -> i64 {
        self.clock.now_ms()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_while_the_clock_is_behind() {
        let clock = Arc::new(ManualClock::new(100 * HOUR));
        let time = Timeline::new(clock.clone());
        clock.advance_ms(HOUR);
        assert_eq!(time.now_ms(), 101 * HOUR);
        clock.set_ms(50 * HOUR);
        assert_eq!((time.now_ms(), time.clock_ms()), (101 * HOUR, 50 * HOUR));
        clock.advance_ms(HOUR);
        assert_eq!((time.now_ms(), time.clock_ms()), (102 * HOUR, 51 * HOUR));
        clock.set_ms(200 * HOUR);
        assert_eq!((time.now_ms(), time.clock_ms()), (200 * HOUR, 200 * HOUR));
    }
}
