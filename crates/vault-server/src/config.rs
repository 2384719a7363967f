//! What an operator chooses, and the numbers behind the abuse limits.

use std::path::PathBuf;

/// Where the service keeps its things and who it says it is.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the database. Made, with access for its owner only, when it is missing.
    pub data_dir: PathBuf,
    /// The server's secrets; `None` is `server.keys` in the data folder. Belongs on another medium than the backups of
    /// the database: both together allow guessing passwords.
    pub key_file: Option<PathBuf>,
    /// Scheme, host and port under which clients reach the service, such as `https://keys.example.org`. Bound into every
    /// password, so it can never change once the first account exists. `None`: what was used before, or else the address
    /// of the listener.
    pub origin: Option<String>,
    /// Folder for notices to owners, among them mailed codes; `None`: nobody is told anything.
    pub notices: Option<PathBuf>,
    /// Abuse limits.
    pub limits: Limits,
}

impl Config {
    /// The defaults, with everything in one folder.
    #[must_use]
    pub fn in_folder(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), key_file: None, origin: None, notices: None, limits: Limits::default() }
    }

    /// The database file.
    #[must_use]
    pub fn database_file(&self) -> PathBuf {
        self.data_dir.join("vault.sqlite")
    }

    /// The file of the server's secrets.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.data_dir.join("server.keys"))
    }
}

/// How often something may happen. Every window starts at a multiple of its own length.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Password runs per mail in 15 minutes that do not end in a sign-in; then a lock of 15 minutes that doubles to a day.
    pub sign_in_per_mail: i64,
    /// Password runs per network in a minute.
    pub sign_in_per_net: i64,
    /// Sign-ups begun per network in an hour.
    pub sign_up_per_net: i64,
    /// Tries at the second factor in one sign-in or step-up.
    pub factor_tries: i64,
    /// Wrong codes per account in an hour.
    pub totp_per_account: i64,
    /// Recoveries begun per mail in an hour.
    pub mailed_codes: i64,
    /// User codes tried per network and per account in a minute.
    pub user_codes: i64,
    /// Enrolments begun per network in an hour.
    pub device_codes_per_net: i64,
    /// Questions and reports per device in an hour.
    pub device_calls: i64,
    /// Renamed devices per account in an hour.
    pub device_renames: i64,
    /// Rotation orders per account in a day.
    pub orders_per_day: i64,
    /// New saves per device in an hour.
    pub saves_per_device: i64,
    /// New saves that the owner signs, per account in an hour: imports.
    pub saves_per_owner: i64,
    /// Saves of keys never seen before, per device in a day.
    pub new_keys_per_device: i64,
    /// Live records per account.
    pub records_per_account: i64,
    /// Reveals per account in an hour.
    pub reveals_per_hour: i64,
    /// Reveals per account in a day.
    pub reveals_per_day: i64,
    /// Grants spent on exports per account and day.
    pub exports_per_day: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sign_in_per_mail: 10,
            sign_in_per_net: 60,
            sign_up_per_net: 60,
            factor_tries: 5,
            totp_per_account: 20,
            mailed_codes: 5,
            user_codes: 20,
            device_codes_per_net: 60,
            device_calls: 2000,
            device_renames: 60,
            orders_per_day: 100,
            saves_per_device: 60,
            saves_per_owner: 1000,
            new_keys_per_device: 10,
            records_per_account: 5000,
            reveals_per_hour: 10,
            reveals_per_day: 30,
            exports_per_day: 40,
        }
    }
}
