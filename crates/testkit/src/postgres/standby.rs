//! A second server that follows the first one, and takes its place.

use super::{Owner, Place, Postgres, new_folder};

impl Postgres {
    /// A server that follows this one by its write-ahead log.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn standby(&self) -> Self {
        let place = Place::new(new_folder(), self.place.programs.clone());
        let primary = format!("host={} user=keyhaven application_name=standby", self.place.folder.display());
        place.as_server("pg_basebackup", &["-d", &primary, "-R", "-X", "stream", "-c", "fast", "--no-sync", "-D"]);
        Self::run(place, &[], Owner::Us)
    }

    /// From now on a commit is confirmed only when the standby has flushed it as well.
    ///
    /// # Panics
    /// When the standby does not come up.
    pub fn wait_for_standby(&self) {
        let _ = self.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        let _ = self.sql("postgres", "SELECT pg_reload_conf()");
        let follows = "SELECT COUNT(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'";
        self.until(follows, "1");
    }

    /// The standby no longer hears from its primary.
    ///
    /// # Panics
    /// When it goes on listening.
    pub fn stop_following(&self) {
        let _ = self.sql("postgres", "ALTER SYSTEM SET primary_conninfo = ''");
        let _ = self.sql("postgres", "SELECT pg_reload_conf()");
        self.until("SELECT COUNT(*) FROM pg_stat_wal_receiver", "0");
    }

    /// The standby takes the place of its primary.
    ///
    /// # Panics
    /// When it does not.
    pub fn promote(&self) {
        assert_eq!(self.sql("postgres", "SELECT pg_promote(true, 60)"), "t", "the standby does not take over");
    }

    fn until(&self, sql: &str, expected: &str) {
        let begun = std::time::Instant::now();
        while self.sql("postgres", sql) != expected {
            assert!(begun.elapsed() < super::PATIENCE, "never {expected}: {sql}");
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
    }
}
