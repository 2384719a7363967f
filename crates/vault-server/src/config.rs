//! What an operator chooses, and the numbers behind the abuse limits.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secret::SecretString;

use crate::proxy::Net;

/// Where the service keeps its things and who it says it is.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the database. Made, with access for its owner only, when it is missing.
    pub data_dir: PathBuf,
    /// The database when it is not the file in the data folder.
    pub database: Option<DatabaseUrl>,
    /// The same database in the name of the role that may delete records; `None`: the service deletes in its own name.
    pub purge_database: Option<DatabaseUrl>,
    /// The server's secrets; `None` is `server.keys` in the data folder. Belongs on another medium than the backups of
    /// the database: both together allow guessing passwords.
    pub key_file: Option<PathBuf>,
    /// A command that prints what would be in the key file; it is run without a shell, and instead of reading the file.
    pub key_command: Option<KeyCommand>,
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
    /// How connections are made and how long they may take.
    pub network: Network,
    /// The service is not ready while less than this is free where the data folder is.
    pub min_free_bytes: u64,
}

impl Config {
    /// The defaults, with everything in one folder.
    #[must_use]
    pub fn in_folder(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            database: None,
            purge_database: None,
            key_file: None,
            key_command: None,
            origin: None,
            notices: None,
            smtp: None,
            delays: Delays::default(),
            limits: Limits::default(),
            network: Network::default(),
            min_free_bytes: 64 << 20,
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

/// A command and its arguments. An argument may be a token, so they are not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyCommand(String);

impl KeyCommand {
    /// As it is written.
    #[must_use]
    pub fn new(command: impl Into<String>) -> Self {
        Self(command.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyCommand {
    /// The program alone.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.split_whitespace().next().unwrap_or_default())
    }
}

/// Address of a PostgreSQL database. May hold a password, so its text is not shown.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// `postgres://user@host/database`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Option<Self> {
        let url = url.into();
        (url.starts_with("postgres://") || url.starts_with("postgresql://")).then_some(Self(url))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a password stands in it.
    #[must_use]
    pub fn holds_password(&self) -> bool {
        let (_, rest) = self.0.split_once("://").unwrap_or_default();
        // As much as can be one: a password may hold any of the letters that end other parts.
        let user = rest.rsplit_once('@').map_or("", |(user, _)| user);
        user.contains(':') || rest.split_once('?').is_some_and(|(_, query)| query.contains("password"))
    }
}

impl fmt::Display for DatabaseUrl {
    /// Scheme, host and database.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        write!(formatter, "{scheme}://{}", place.split('?').next().unwrap_or_default())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Connections.
#[derive(Debug, Clone)]
pub struct Network {
    /// TLS of the service's own; `None`: a proxy does it, or nobody does and only this computer is answered.
    pub tls: Option<Tls>,
    /// Proxies that are believed when they say whom they speak for. Without TLS, nobody else is answered beyond loopback.
    pub trusted_proxies: Vec<Net>,
    /// Where metrics are told, with `/health` and `/ready`; `None`: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Connections at once; more wait until one ends.
    pub connections: usize,
    /// Connections at once from one network (/24 or /56); more are closed. Loopback and trusted proxies are not counted.
    pub connections_per_net: usize,
    /// How long the head of a request may take, and the TLS handshake; also how long a connection may be idle.
    pub head_time: Duration,
    /// How long the body of a request may take.
    pub body_time: Duration,
    /// How long a client may take nothing of its answer.
    pub answer_time: Duration,
    /// How long requests under way may take after the service was told to stop.
    pub stop_time: Duration,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            tls: None,
            trusted_proxies: Vec::new(),
            metrics: None,
            connections: 1000,
            connections_per_net: 100,
            head_time: Duration::from_secs(15),
            body_time: Duration::from_secs(20),
            answer_time: Duration::from_secs(30),
            stop_time: Duration::from_secs(30),
        }
    }
}

/// Where the certificate comes from.
#[derive(Debug, Clone)]
pub enum Tls {
    /// Files in PEM; read again when they change.
    Files {
        /// The certificate, followed by those that lead to its authority.
        certificate: PathBuf,
        /// The private key; readable by its owner only.
        key: PathBuf,
    },
    /// An authority that speaks ACME (RFC 8555) and checks by TLS-ALPN-01 (RFC 8737).
    Acme(Acme),
}

/// How certificates are ordered.
#[derive(Debug, Clone)]
pub struct Acme {
    /// Names the certificate is for.
    pub domains: Vec<String>,
    /// Mail address for the authority's notices.
    pub contact: Option<String>,
    /// Address of the authority's directory.
    pub directory: String,
    /// Certificates in PEM that the authority's own server is checked with; `None`: the public ones.
    pub authority: Option<PathBuf>,
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
            resets_per_month: 3,
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
