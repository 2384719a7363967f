//! Time-based one-time codes (RFC 6238): SHA-1, 30 seconds, 6 digits, one step of tolerance to either side.
//!
//! Single use is not decided here: a matching step must be taken in the database by compare-and-set.

use secret::{SecretBytes, SecretVec};
use totp_rs::{Algorithm, Builder, Totp};

/// Length of a time step in milliseconds.
pub(crate) const STEP_MS: i64 = 30_000;
/// Steps to either side in which a drifting clock is looked for: ten minutes.
const DRIFT_STEPS: i64 = 20;
/// Length of a secret: 160 bits, what RFC 4226 recommends for SHA-1.
const SECRET_BYTES: usize = 20;

/// A new secret.
pub(crate) fn new_secret() -> SecretVec {
    SecretVec::new(SecretBytes::<SECRET_BYTES>::random().expose().to_vec())
}

/// The step whose code this is, when it is the present one or a neighbour.
pub(crate) fn matching_step(secret: &SecretVec, code: &str, now_ms: i64) -> Option<i64> {
    let now = now_ms / STEP_MS;
    (now - 1..=now + 1).find(|step| code_fits(&totp(secret), code, *step))
}

/// The step of the second of two codes of consecutive steps, when that step is the present one or a neighbour.
pub(crate) fn matching_pair(secret: &SecretVec, first: &str, second: &str, now_ms: i64) -> Option<i64> {
    let now = now_ms / STEP_MS;
    let totp = totp(secret);
    (now - 1..=now + 1).find(|step| code_fits(&totp, first, step - 1) && code_fits(&totp, second, *step))
}

/// How many steps ago this was the code, when it is too late by no more than [`DRIFT_STEPS`]. Later steps are not looked
/// at: telling that a guess will be right soon would give it away.
pub(crate) fn steps_late(secret: &SecretVec, code: &str, now_ms: i64) -> Option<i64> {
    let now = now_ms / STEP_MS;
    let totp = totp(secret);
    (2..=DRIFT_STEPS).find(|late| code_fits(&totp, code, now - late))
}

/// How many steps the clock is ahead that shows this pair. For the enrolment, where the person knows the secret anyway.
pub(crate) fn pair_drift(secret: &SecretVec, first: &str, second: &str, now_ms: i64) -> Option<i64> {
    let now = now_ms / STEP_MS;
    let totp = totp(secret);
    (-DRIFT_STEPS..=DRIFT_STEPS)
        .find(|drift| code_fits(&totp, first, now + drift - 1) && code_fits(&totp, second, now + drift))
}

fn totp(secret: &SecretVec) -> Totp {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_step_duration(30)
        .with_skew(0)
        .with_secret(secret.expose().to_vec())
        .build_noncompliant()
}

/// With no tolerance of its own, the library compares with the code of exactly one step.
fn code_fits(totp: &Totp, code: &str, step: i64) -> bool {
    let seconds = u64::try_from(step * (STEP_MS / 1000)).unwrap_or(0);
    code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()) && totp.check(code, seconds).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, SHA-1: the last six of the eight digits at these times.
    const VECTORS: [(i64, &str); 4] =
        [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")];

    fn rfc_secret() -> SecretVec {
        SecretVec::new(b"12345678901234567890".to_vec())
    }

    #[test]
    fn published_codes_match_at_their_time() {
        for (seconds, code) in VECTORS {
            assert_eq!(matching_step(&rfc_secret(), code, seconds * 1000), Some(seconds / 30));
        }
    }

    #[test]
    fn a_neighbouring_step_is_accepted_and_no_further_one() {
        let (seconds, code) = VECTORS[1];
        let at = |steps: i64| matching_step(&rfc_secret(), code, (seconds + steps * 30) * 1000);
        assert_eq!([at(-1), at(1)], [Some(seconds / 30); 2]);
        assert_eq!([at(-2), at(2), at(20)], [None; 3]);
    }

    #[test]
    fn a_late_code_is_told_and_an_early_one_is_not() {
        let (seconds, code) = VECTORS[1];
        let at = |steps: i64| steps_late(&rfc_secret(), code, (seconds + steps * 30) * 1000);
        assert_eq!([at(2), at(20)], [Some(2), Some(20)]);
        assert_eq!([at(-20), at(-2), at(0), at(1), at(21)], [None; 5]);
        assert_eq!(steps_late(&rfc_secret(), "", seconds * 1000), None);
    }

    #[test]
    fn the_drift_of_a_pair_is_found_on_both_sides() {
        let secret = rfc_secret();
        let step = 1_111_111_109_000 / STEP_MS;
        let code = |step: i64| totp(&secret).generate(u64::try_from(step * 30).unwrap()).to_string();
        let drift = |by: i64| pair_drift(&secret, &code(step + by - 1), &code(step + by), 1_111_111_109_000);
        assert_eq!([drift(-20), drift(-2), drift(2), drift(20)], [Some(-20), Some(-2), Some(2), Some(20)]);
        assert_eq!([drift(-21), drift(21)], [None; 2]);
        assert_eq!(pair_drift(&secret, &code(step), &code(step), 1_111_111_109_000), None);
    }

    #[test]
    fn only_six_ascii_digits_are_a_code() {
        for code in ["", "81804", " 81804", "0818040", "08 804", "٠٨١٨٠٤", "+81804", "081805"] {
            assert_eq!(matching_step(&rfc_secret(), code, VECTORS[1].0 * 1000), None, "{code:?}");
        }
    }

    #[test]
    fn a_pair_must_be_consecutive_and_in_order() {
        let secret = rfc_secret();
        let code = |step: i64| totp(&secret).generate(u64::try_from(step * 30).unwrap()).to_string();
        let (now, step) = (1_111_111_109_000, 1_111_111_109_000 / STEP_MS);
        let pair = |first: i64, second: i64| matching_pair(&secret, &code(step + first), &code(step + second), now);
        assert_eq!(pair(-1, 0), Some(step));
        assert_eq!(pair(0, 1), Some(step + 1));
        for (first, second) in [(0, 0), (0, -1), (-1, 1), (-3, -2), (1, 2)] {
            assert_eq!(pair(first, second), None, "{first} {second}");
        }
    }
}
