//! The app on a phone that shows one-time codes. It knows only what a phone knows: the scanned link and the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const STEP_SECONDS: u64 = 30;

/// An authenticator on the real clock.
pub struct Authenticator {
    secret: Vec<u8>,
    /// Newest step whose code was used: each is good once.
    used: u64,
}

impl Authenticator {
    /// From the link of the picture that a phone scans; `None` when it holds no secret.
    #[must_use]
    pub fn scan(link: &str) -> Option<Self> {
        let secret = link.split(['?', '&']).find_map(|part| part.strip_prefix("secret="))?;
        let secret = data_encoding::BASE32_NOPAD.decode(secret.trim().as_bytes()).ok()?;
        Some(Self { secret, used: 0 })
    }

    /// Two codes that follow each other, the newest ones that leave the present one for later.
    pub fn two_codes(&mut self) -> [String; 2] {
        // Not over the edge of a step: then they would be too old on arrival.
        while seconds() % STEP_SECONDS > STEP_SECONDS - 5 {
            std::thread::sleep(Duration::from_secs(1));
        }
        let now = seconds() / STEP_SECONDS;
        self.used = now - 1;
        [self.code(now - 2), self.code(now - 1)]
    }

    /// A code that was not used before; waits for it where that is needed.
    pub fn fresh_code(&mut self) -> String {
        let step = (self.used + 1).max(seconds() / STEP_SECONDS);
        // Clocks differ: a service takes the next code up to a step early.
        while step > seconds() / STEP_SECONDS + 1 {
            std::thread::sleep(Duration::from_millis(500));
        }
        self.used = step;
        self.code(step)
    }

    fn code(&self, step: u64) -> String {
        let totp = totp_rs::Builder::new().with_secret(self.secret.clone()).build_noncompliant();
        totp.generate(step * STEP_SECONDS).to_string()
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
