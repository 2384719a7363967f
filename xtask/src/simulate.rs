//! `cargo xtask simulate`: the tests with power cuts, with another seed or many more states, optimised.

use anyhow::{Context, Result, bail, ensure};

use crate::run::{cargo, succeed};

const USAGE: &str = "cargo xtask simulate [--seed N] [--states N]";
/// Scenarios that share the states: nine of `power_cuts` (creating, converting, writing) and thirteen of `protector_cuts` (key
/// protectors, rotating, repairing copies and the header), both in `crates/fve/tests`.
const SCENARIOS: u64 = 22;
const SEED: u64 = 1;
const STATES: u64 = 1_000_000;

/// Runs them; a failure says how to replay the state.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (mut seed, mut states) = (SEED, STATES);
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { bail!("{USAGE}") };
        let number = value.parse().with_context(|| format!("{name} {value}: {USAGE}"))?;
        match name.as_str() {
            "--seed" => seed = number,
            "--states" => states = number,
            _ => bail!("{USAGE}"),
        }
    }
    ensure!(states > 0, "no states, nothing to simulate");
    let each = states.div_ceil(SCENARIOS);
    println!("seed {seed}, {each} states in each of {SCENARIOS} scenarios");
    let tests = ["nextest", "run", "--release", "--no-fail-fast", "-p", "fve", "--test", "*_cuts"];
    succeed(cargo(&tests).env("SEED", seed.to_string()).env("STATES", each.to_string()))
}
