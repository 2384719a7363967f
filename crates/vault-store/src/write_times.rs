//! How long durable writes take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::Error;

/// Upper ends of the buckets, in microseconds; one without an end follows.
pub const BUCKETS_US: [u64; 14] = [
    500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000,
    10_000_000,
];

/// Counts writes by the time they took; clones count together.
#[derive(Debug, Clone, Default)]
pub struct WriteTimes(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    buckets: [AtomicU64; BUCKETS_US.len() + 1],
    sum_us: AtomicU64,
    failed: AtomicU64,
}

impl WriteTimes {
    /// A write ended.
    pub(crate) fn ended<T>(&self, begun: Instant, result: &Result<T, Error>) {
        let elapsed_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.iter().position(|end| elapsed_us <= *end).unwrap_or(BUCKETS_US.len());
        if let Some(count) = self.0.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.0.sum_us.fetch_add(elapsed_us, Ordering::Relaxed);
        if matches!(result, Err(error) if !matches!(error, Error::Refused(_))) {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes in each bucket, and the time of all together in microseconds.
    #[must_use]
    pub fn read(&self) -> (Vec<u64>, u64) {
        let buckets = self.0.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        (buckets, self.0.sum_us.load(Ordering::Relaxed))
    }

    /// Writes that the database failed. What the rows refused is not among them.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.0.failed.load(Ordering::Relaxed)
    }
}
