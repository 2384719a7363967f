//! A simulation that finds nothing proves nothing: on a disk that ignores flushes, which is what a conversion without them
//! amounts to, it must find a volume that is lost.

use testkit::simulation::Simulation;

use crate::conversion::encrypting;
use crate::small::SMALL;

#[test]
fn a_conversion_without_flushes_is_found_out() {
    let simulation = Simulation { seed: 1, states: 500, only: None };
    let failure = encrypting(&simulation, "a_conversion_without_flushes_is_found_out", SMALL, true);
    assert!(failure.as_ref().is_err_and(|text| text.contains("SEED=1 STATE=")), "{failure:?}");
}
