//! The keeper of the global log: puts new audit entries into it, in batches, and signs what came of it.
//!
//! Nothing waits for it: saves and reveals go on without it, and what it missed it catches up with. Every service process
//! has one; the store sees to it that each entry gets one place, however many of them there are.

use std::time::Duration;

use tokio::sync::oneshot;
use vault_protocol::log::{Checkpoint, log_name};
use vault_store::{Digest, Refusal};

use crate::app::{App, Inner};

/// How often entries are looked for that nobody told of.
const IDLE: Duration = Duration::from_millis(500);
/// Pause after a batch: under load entries gather meanwhile.
const PAUSE: Duration = Duration::from_millis(250);
/// Entries in a batch: what a save may have to wait for is a few milliseconds.
const BATCH: i64 = 256;

impl Inner {
    /// The signed checkpoint of a log of this size and root.
    pub(crate) fn sign_checkpoint(&self, size: u64, root: &Digest) -> String {
        self.keys.sign_checkpoint(&Checkpoint { origin: log_name(self.origin()), size, root: *root })
    }
}

/// Keeps the log until the other end of `stopped` is gone.
pub(crate) async fn keep(app: App, mut stopped: oneshot::Receiver<()>) {
    let mut failing = false;
    loop {
        tokio::select! {
            () = app.new_entries.notified() => {}
            () = tokio::time::sleep(IDLE) => {}
            _ = &mut stopped => return,
        }
        match catch_up(&app).await {
            Ok(()) => failing = false,
            Err(error) => {
                // Told once: the next rounds would say the same.
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(cause = %error, "the global log does not grow; trying again");
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = &mut stopped => return,
        }
    }
}

/// Puts everything that waits into the log.
async fn catch_up(app: &App) -> Result<(), vault_store::Error> {
    let sign = |size, root: &Digest| app.sign_checkpoint(size, root);
    loop {
        match app.store.extend_log(BATCH, &sign).await {
            Ok(added) if i64::try_from(added).is_ok_and(|added| added >= BATCH) => {}
            Ok(_) => return Ok(()),
            // Another process does the same work; what is left is there in the next round.
            Err(vault_store::Error::Refused(Refusal::LogMoved)) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
