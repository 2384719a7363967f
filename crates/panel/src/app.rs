//! What one panel holds: who may come in, what is in the list, unlocked, in hand and under way.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::account::Enrolments;
use crate::door::Door;
use crate::hands::Hands;
use crate::jobs::Jobs;
use crate::keep::Images;
use crate::views::{Tickets, Views};

/// An unlocked drive that nobody looks at is locked again.
pub(crate) const UNLOCKED_LIFE: Duration = Duration::from_secs(30 * 60);
/// A recovery key that nobody goes on with is forgotten.
pub(crate) const HAND_LIFE: Duration = Duration::from_secs(2 * 60 * 60);

/// One panel.
pub(crate) struct App {
    /// `127.0.0.1:PORT`, as `Host` must name it.
    pub(crate) host: String,
    /// The same with its scheme, as `Origin` must name it.
    pub(crate) origin: String,
    /// Where the account keeps its files.
    pub(crate) state: PathBuf,
    /// Address of the account service, where one was named.
    pub(crate) server: Option<String>,
    /// Address of the account service that runs beside this panel.
    pub(crate) service: Option<String>,
    /// Where the kernel tells its devices, and where devices are.
    pub(crate) devices: (PathBuf, PathBuf),
    pub(crate) door: Door,
    pub(crate) images: Mutex<Images>,
    pub(crate) views: Views,
    pub(crate) tickets: Tickets,
    pub(crate) hands: Hands,
    pub(crate) jobs: Jobs,
    pub(crate) enrolments: Enrolments,
}

impl App {
    /// Forgets what is too old; with nobody left in the panel, what is unlocked is locked.
    pub(crate) fn sweep(&self, now: Instant) {
        self.views.lock_unused(now, UNLOCKED_LIFE);
        if !self.door.has_sessions(now) {
            self.views.lock_all();
        }
        self.tickets.sweep(now);
        self.hands.sweep(now, HAND_LIFE);
    }

    /// Locks a drive. Downloads that wait keep its files in hand, and with them the lock that keeps writers out: they go too.
    pub(crate) fn lock(&self, drive: &str) {
        self.tickets.forget_drive(drive);
        self.views.lock(drive);
    }

    /// Nobody is in any longer, or everything ends.
    pub(crate) fn lock_all(self: &Arc<Self>) {
        self.views.lock_all();
    }
}
