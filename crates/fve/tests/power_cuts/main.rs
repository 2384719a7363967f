//! The power is cut at every point of everything that writes to a volume: afterwards the volume is the old one or the new
//! one, or a conversion that reads and can go on.
//!
//! `SEED` and `STATES` (for each test) choose another or a longer run: `cargo xtask simulate`. A failure says how to replay it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod canary;
mod conversion;
mod create;
mod small;
mod writing;

use testkit::simulation::Simulation;

/// States of each test in a normal run.
const STATES: u64 = 2000;

fn simulation() -> Simulation {
    Simulation::from_environment(STATES)
}
