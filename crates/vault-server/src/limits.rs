//! Abuse limits: counters in the database, asked before the work they protect.
//!
//! A counter is raised first and judged by its new value, so that parallel requests cannot all see the last free place.
//! What turns out not to count is given back.

use vault_protocol::problem::Code;
use vault_store::Place;

use crate::app::App;
use crate::clock::{DAY, HOUR, MINUTE};
use crate::failure::Failure;

/// Window of the wrong tries of one mail.
const WRONG_TRIES_WINDOW: i64 = 15 * MINUTE;
/// First lock; each next one within a day after the last doubles.
const FIRST_LOCK: i64 = 15 * MINUTE;

/// A place taken in a window.
#[derive(Debug)]
pub(crate) struct Taken {
    bucket: String,
    window: i64,
}

/// A place in the present window of a bucket, for an act that takes it in its own transaction.
pub(crate) fn place(bucket: String, window_ms: i64, places: i64, now: i64) -> Place {
    let window = now - now.rem_euclid(window_ms);
    Place { bucket, window, until: window + window_ms, places }
}

/// The password runs of an address that did not get through.
pub(crate) fn run_bucket(mail_name: &str) -> String {
    format!("login/mail/{mail_name}")
}

impl App {
    /// Takes a place in the present window of `bucket`.
    pub(crate) async fn take(&self, bucket: String, window_ms: i64, places: i64, over: Code) -> Result<Taken, Failure> {
        let now = self.now();
        let window = now - now.rem_euclid(window_ms);
        if self.store.count(&bucket, window, 1).await? > places {
            // Refused tries do not prolong the refusal.
            self.store.count(&bucket, window, -1).await?;
            return Err(Failure::Wait(over, window + window_ms - now));
        }
        Ok(Taken { bucket, window })
    }

    /// Gives a place back: what it was taken for did not happen.
    pub(crate) async fn give_back(&self, taken: &Taken) -> Result<(), Failure> {
        self.store.count(&taken.bucket, taken.window, -1).await?;
        Ok(())
    }

    /// Before every password run. Counts the start, not the failure: whoever has the answer to a start can test one guess
    /// without ever finishing.
    pub(crate) async fn begin_password_run(&self, mail_name: &str, net: &str) -> Result<(), Failure> {
        let limits = self.limits();
        self.take(format!("login/net/{net}"), MINUTE, limits.sign_in_per_net, Code::LimitRate).await?;
        let now = self.now();
        let lock = format!("login/lock/{mail_name}");
        let last = self.store.newest_window(&lock).await?;
        if let Some((until, _)) = last
            && now < until
        {
            return Err(Failure::Wait(Code::AuthLocked, until - now));
        }
        let window = now - now.rem_euclid(WRONG_TRIES_WINDOW);
        if self.store.count(&run_bucket(mail_name), window, 1).await? <= limits.sign_in_per_mail {
            return Ok(());
        }
        let level = match last {
            Some((until, level)) if now - until < DAY => level + 1,
            _ => 1,
        };
        let length = lock_length(level);
        // The window stays full, for those who looked for a lock before there was one; no lock is shorter than what is left of it.
        self.store.set_counter(&lock, now + length, level).await?;
        Err(Failure::Wait(Code::AuthLocked, length))
    }

    /// The places that [`App::begin_password_run`] takes, for who takes them together with something else. Where one of them is
    /// not free, that function says what follows.
    ///
    /// # Errors
    /// The address is locked.
    pub(crate) async fn places_of_run(&self, mail_name: &str, net: &str) -> Result<[Place; 2], Failure> {
        let (limits, now) = (self.limits(), self.now());
        if let Some((until, _)) = self.store.newest_window(&format!("login/lock/{mail_name}")).await?
            && now < until
        {
            return Err(Failure::Wait(Code::AuthLocked, until - now));
        }
        Ok([
            place(format!("login/net/{net}"), MINUTE, limits.sign_in_per_net, now),
            place(run_bucket(mail_name), WRONG_TRIES_WINDOW, limits.sign_in_per_mail, now),
        ])
    }

    /// After a sign-in or step-up that got through: its tries were not wrong ones.
    pub(crate) async fn end_password_run(&self, mail_name: &str) -> Result<(), Failure> {
        Ok(self.store.clear_counter(&run_bucket(mail_name)).await?)
    }

    /// Notes in the trail of an account that a proof failed; where there is no account, takes as long.
    pub(crate) async fn note_refused(
        &self,
        account: vault_store::AccountId,
        exists: bool,
        act: &crate::audit::Act,
    ) -> Result<(), Failure> {
        if exists {
            self.store.append_audit(account, &|head| act.link(head)).await?;
        } else {
            self.store.count("refused/nobody", 0, 1).await?;
        }
        Ok(())
    }

    /// The place that [`App::take_totp_try`] takes.
    pub(crate) fn totp_place(&self, account: vault_store::AccountId) -> Place {
        place(format!("totp/{account}"), HOUR, self.limits().totp_per_account, self.now())
    }

    /// Before a code of the account's TOTP factors is looked at. Given back when the code is right.
    pub(crate) async fn take_totp_try(&self, account: vault_store::AccountId) -> Result<Taken, Failure> {
        self.take(format!("totp/{account}"), HOUR, self.limits().totp_per_account, Code::AuthLocked).await
    }
}

fn lock_length(level: i64) -> i64 {
    let doublings = level.saturating_sub(1).clamp(0, 16);
    (FIRST_LOCK << doublings).min(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_double_to_a_day() {
        let minutes: Vec<i64> = (1..=9).map(|level| lock_length(level) / MINUTE).collect();
        assert_eq!(minutes, [15, 30, 60, 120, 240, 480, 960, 1440, 1440]);
        assert_eq!(lock_length(i64::MAX), DAY);
    }
}
