//! How long each of many calls took.

use std::time::Duration;

use serde_json::{Value, json};

/// Durations, to be told as quantiles in milliseconds.
#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn sum(&self) -> Duration {
        self.0.iter().sum()
    }

    pub(crate) fn quantiles(mut self) -> Value {
        self.0.sort_unstable();
        let at = |thousandths: usize| {
            let place = (self.0.len() * thousandths / 1000).min(self.0.len().saturating_sub(1));
            self.0.get(place).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        json!({ "n": self.0.len(), "p50_ms": at(500), "p99_ms": at(990), "max_ms": at(1000) })
    }
}
