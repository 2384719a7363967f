//! Many crashes of one recorded history.

use std::fmt;

use super::{Crashed, Random, SimDisk};

/// How many states of a scenario are tried.
#[derive(Debug, Clone, Copy)]
pub struct Simulation {
    /// Everything is chosen by it.
    pub seed: u64,
    /// States to try.
    pub states: u64,
    /// Only this one, to replay a failure.
    pub only: Option<u64>,
}

/// A state that is not sound.
#[derive(Debug)]
pub struct Failure {
    /// Which scenario.
    pub scenario: String,
    /// The seed of the simulation.
    pub seed: u64,
    /// The number of the state.
    pub state: u64,
    /// Before which event of the history the power went.
    pub point: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, seed, state, point, reason } = self;
        write!(
            formatter,
            "scenario {scenario}, seed {seed}, state {state} (power cut before event {point}): {reason}\n\
             replay: SEED={seed} STATE={state} cargo nextest run -p fve --test '*_cuts'"
        )
    }
}

impl std::error::Error for Failure {}

impl Simulation {
    /// From the variables `SEED`, `STATES` and `STATE`, where they are set.
    ///
    /// # Panics
    /// When one of them is no number.
    #[must_use]
    pub fn from_environment(states: u64) -> Self {
        let number = |name: &str| {
            let value = std::env::var(name).ok()?;
            assert!(value.parse::<u64>().is_ok(), "{name}={value} is no number");
            value.parse().ok()
        };
        Self { seed: number("SEED").unwrap_or(1), states: number("STATES").unwrap_or(states), only: number("STATE") }
    }

    /// Lets `record` work on `disk`, then cuts the power [`Self::states`] times, at every point in turn, and lets `check`
    /// judge what is left. The numbers that `check` gets belong to the state: with them it may choose how to go on, and cut
    /// the power again. Gives how many states were tried.
    ///
    /// `record` must do the same requests in the same order each time, so that a failure replays.
    ///
    /// # Errors
    /// The first state that `check` finds wrong. `scenario` is the name of the test, too, so that it can be started again.
    pub fn run(
        &self,
        scenario: &str,
        disk: &SimDisk,
        record: impl FnOnce(&SimDisk),
        check: impl Fn(Crashed, &mut Random) -> Result<(), String>,
    ) -> Result<u64, Failure> {
        record(disk);
        let points = disk.crash_points() as u64;
        let states = self.only.map_or(0..self.states, |state| state..state + 1);
        let tried = states.end - states.start;
        for state in states {
            let mut random = Random::of(self.seed, scenario, state);
            let point = usize::try_from(state % points).unwrap_or(0);
            let crashed = disk.crash(point, &mut random);
            check(crashed, &mut random).map_err(|reason| Failure {
                scenario: scenario.to_owned(),
                seed: self.seed,
                state,
                point,
                reason,
            })?;
        }
        Ok(tried)
    }
}

#[cfg(test)]
mod tests {
    use block_io::BlockWrite;

    use super::*;

    /// A counter in sector 0 and its copy in sector 1: right with a flush between them, wrong without.
    fn count(disk: &SimDisk, flush_between: bool) {
        for number in 1..20_u8 {
            disk.write_all_at(512, &[number; 512]).unwrap();
            if flush_between {
                disk.flush().unwrap();
            }
            disk.write_all_at(0, &[number; 512]).unwrap();
            disk.flush().unwrap();
            disk.mark(u64::from(number));
        }
    }

    fn check(crashed: &Crashed) -> Result<(), String> {
        let bytes = crashed.disk.to_vec();
        let (counter, copy) = (u64::from(bytes[0]), u64::from(bytes[512]));
        if counter < crashed.acknowledged || copy < counter {
            return Err(format!("{counter} {copy}, promised {}", crashed.acknowledged));
        }
        Ok(())
    }

    #[test]
    fn a_missing_flush_is_found_and_replays() {
        let simulation = Simulation { seed: 3, states: 2000, only: None };
        let run = |simulation: &Simulation, flush| {
            let disk = SimDisk::new(vec![0; 1024]);
            simulation.run("counter", &disk, |disk| count(disk, flush), |crashed, _| check(&crashed))
        };
        assert_eq!(run(&simulation, true).unwrap(), 2000);
        let failure = run(&simulation, false).unwrap_err();
        let again = run(&Simulation { only: Some(failure.state), ..simulation }, false).unwrap_err();
        assert_eq!((failure.point, failure.reason), (again.point, again.reason));
    }
}
