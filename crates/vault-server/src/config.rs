//! What an operator chooses, and the numbers behind the abuse limits.

use std::path::PathBuf;

use secret::SecretString;

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
    /// Folder for notices to owners, among them mailed codes.
    pub notices: Option<PathBuf>,
    /// The mail server that notices are handed to; takes the place of the folder. Without either nobody is told anything.
    pub smtp: Option<Smtp>,
    /// How long things wait that are announced first.
    pub delays: Delays,
    /// Abuse limits.
    pub limits: Limits,
}

impl Config {
    /// The defaults, with everything in one folder.
    #[must_use]
    pub fn in_folder(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            key_file: None,
            origin: None,
            notices: None,
            smtp: None,
            delays: Delays::default(),
            limits: Limits::default(),
        }
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

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte.
    Tls,
    /// TLS after STARTTLS, which the server has to offer.
    StartTls,
    /// None; for a server on this computer only.
    Plain,
}

/// A mail server, and how it is reached.
#[derive(Clone)]
pub struct Smtp {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Protection of the connection.
    pub security: SmtpSecurity,
    /// User name and password, where the server asks for them.
    pub credentials: Option<(String, SecretString)>,
    /// Address that mails come from.
    pub from: String,
    /// File of certificates (PEM) that are trusted in place of the public ones.
    pub ca_file: Option<PathBuf>,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, security, .. } = self;
        formatter.debug_struct("Smtp").field("host", host).field("port", port).field("security", security).finish()
    }
}

/// How long things wait that are announced first. They may be longer than the defaults and never shorter; a delay that runs
/// keeps the end it began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    /// Until an account asks for no second factor, in hours.
    pub off_hours: u32,
    /// Until lost factors can be replaced, in days.
    pub reset_days: u32,
    /// Until something is deleted, in days.
    pub deletion_days: u32,
}

impl Default for Delays {
    fn default() -> Self {
        Self { off_hours: 24, reset_days: 7, deletion_days: 30 }
    }
}

impl Delays {
    /// Whether none is shorter than its default.
    #[must_use]
    pub fn are_long_enough(&self) -> bool {
        let least = Self::default();
        self.off_hours >= least.off_hours
            && self.reset_days >= least.reset_days
            && self.deletion_days >= least.deletion_days
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
    /// Recoveries begun per mail in an hour; as many codes are mailed for resets, and for step-ups, of each account.
    pub mailed_codes: i64,
    /// Delayed resets begun per account in 30 days.
    pub resets_per_month: i64,
    /// User codes tried per network and per account in a minute.
    pub user_codes: i64,
    /// Enrolments begun per network in an hour.
    pub device_codes_per_net: i64,
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
            resets_per_month: 3,
            user_codes: 20,
            device_codes_per_net: 60,
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
