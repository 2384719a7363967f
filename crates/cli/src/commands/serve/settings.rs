//! The settings of the service: each is a flag, a variable of the environment and a key of the configuration file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use vault_server::{Acme, Config, DatabaseUrl, Delays, KeyCommand, Limits, Net, Network, Tls};

use super::mail::MailArgs;
use crate::failure::{Failure, Outcome};

/// Where the service keeps its things.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// Configuration file, in TOML; its keys are the names of these flags
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, env = "KEYHAVEN_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Folder of the database
    #[arg(long, global = true, value_name = "FOLDER", value_hint = ValueHint::DirPath, env = "KEYHAVEN_DATA", default_value = "keyhaven-data")]
    data: PathBuf,
    /// PostgreSQL database instead of the file in --data, such as postgres://keyhaven@db/keyhaven; a password in it belongs
    /// in the configuration file or the environment
    #[arg(long, global = true, value_name = "URL", env = "KEYHAVEN_DATABASE", hide_env_values = true, value_parser = database)]
    database: Option<DatabaseUrl>,
    /// The same database in the name of the role that may delete records, where the service's own role may not
    /// (docs/postgresql-roles.sql); a password in it belongs in the configuration file or the environment
    #[arg(long, global = true, value_name = "URL", env = "KEYHAVEN_PURGE_DATABASE", hide_env_values = true, value_parser = database, hide_short_help = true)]
    purge_database: Option<DatabaseUrl>,
    /// File of the server's secrets; keep it, and its backups, apart from the database [default: server.keys in --data]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, env = "KEYHAVEN_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// Command that prints the content of the key file; run without a shell, instead of reading the file
    #[arg(long, global = true, value_name = "COMMAND", value_parser = key_command, env = "KEYHAVEN_KEY_COMMAND", hide_env_values = true, conflicts_with = "key_file")]
    key_command: Option<KeyCommand>,
}

/// How the service is reached and what it tells.
#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", env = "KEYHAVEN_LISTEN", default_value = "127.0.0.1:8400")]
    pub(super) listen: SocketAddr,
    /// Address under which people reach the service; cannot change once there are accounts
    #[arg(long, value_name = "URL", env = "KEYHAVEN_ORIGIN")]
    pub(super) origin: Option<String>,
    /// Folder that gets a file for each notice to an owner, among them codes for lost passwords; whoever runs the service
    /// sends them on
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, env = "KEYHAVEN_NOTICES")]
    pub(super) notices: Option<PathBuf>,
    #[command(flatten)]
    mail: MailArgs,
    /// Hours until an account asks for no second factor after its owner wanted that; never less than the default
    #[arg(long, global = true, value_name = "HOURS", env = "KEYHAVEN_OFF_HOURS", default_value = "24", value_parser = clap::value_parser!(u32).range(24..=2160), hide_short_help = true)]
    off_hours: u32,
    /// Days until lost second factors can be replaced, and lost keys by new ones (twice as many where no factor is left); never less than
    /// the default
    #[arg(long, global = true, value_name = "DAYS", env = "KEYHAVEN_RESET_DAYS", default_value = "7", value_parser = clap::value_parser!(u32).range(7..=90), hide_short_help = true)]
    reset_days: u32,
    /// Days until a record or an account is deleted after its owner wanted that; never less than the default
    #[arg(long, global = true, value_name = "DAYS", env = "KEYHAVEN_DELETION_DAYS", default_value = "30", value_parser = clap::value_parser!(u32).range(30..=365), hide_short_help = true)]
    deletion_days: u32,
    /// Certificate in PEM, followed by those that lead to its authority; read again when it changes
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "KEYHAVEN_TLS_CERTIFICATE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Private key of the certificate, readable by its owner only
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "KEYHAVEN_TLS_KEY", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Name to order a certificate for, by ACME; may be given several times. The authority looks at port 443 of that name
    #[arg(
        long,
        value_name = "NAME",
        env = "KEYHAVEN_ACME_DOMAIN",
        value_delimiter = ',',
        conflicts_with = "tls_certificate"
    )]
    acme_domain: Vec<String>,
    /// Mail address that the authority writes to
    #[arg(long, value_name = "MAIL", env = "KEYHAVEN_ACME_CONTACT", requires = "acme_domain")]
    acme_contact: Option<String>,
    /// Address of the authority's ACME directory
    #[arg(
        long,
        value_name = "URL",
        env = "KEYHAVEN_ACME_DIRECTORY",
        default_value = "https://acme-v02.api.letsencrypt.org/directory"
    )]
    acme_directory: String,
    /// Certificates in PEM that the authority's own server is checked with, instead of the public ones
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "KEYHAVEN_ACME_AUTHORITY")]
    acme_authority: Option<PathBuf>,
    /// Address or network of a proxy that speaks HTTPS and says whom it speaks for (Forwarded, X-Forwarded-For); may be given
    /// several times
    #[arg(long, value_name = "ADDRESS", env = "KEYHAVEN_TRUSTED_PROXY", value_delimiter = ',')]
    trusted_proxy: Vec<Net>,
    /// Where to tell metrics in the format of Prometheus, with /health and /ready
    #[arg(long, value_name = "ADDRESS", env = "KEYHAVEN_METRICS")]
    metrics: Option<SocketAddr>,
    /// Form of the log on standard error
    #[arg(long, value_name = "FORM", env = "KEYHAVEN_LOG_FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
    /// What is logged: from this level up
    #[arg(long, value_name = "LEVEL", env = "KEYHAVEN_LOG_LEVEL", default_value = "info")]
    pub(super) log_level: LogLevel,
    /// Not ready while less than this is free where the data folder is
    #[arg(long, value_name = "SIZE", env = "KEYHAVEN_MIN_FREE", default_value = "64M", value_parser = crate::commands::create::parse_size, hide_short_help = true)]
    min_free: u64,
    /// Connections at once; more wait
    #[arg(long, value_name = "NUMBER", env = "KEYHAVEN_CONNECTIONS", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=1_000_000), hide_short_help = true)]
    connections: u32,
    /// Connections at once from one network (/24 or /56); more are closed
    #[arg(long, value_name = "NUMBER", env = "KEYHAVEN_CONNECTIONS_PER_NETWORK", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=1_000_000), hide_short_help = true)]
    connections_per_network: u32,
    /// Seconds that the head of a request may take, and the TLS handshake; also how long a connection may be idle
    #[arg(long, value_name = "SECONDS", env = "KEYHAVEN_HEAD_SECONDS", default_value = "15", value_parser = seconds(), hide_short_help = true)]
    head_seconds: u64,
    /// Seconds that the body of a request may take
    #[arg(long, value_name = "SECONDS", env = "KEYHAVEN_BODY_SECONDS", default_value = "20", value_parser = seconds(), hide_short_help = true)]
    body_seconds: u64,
    /// Seconds that a client may take nothing of its answer
    #[arg(long, value_name = "SECONDS", env = "KEYHAVEN_ANSWER_SECONDS", default_value = "30", value_parser = seconds(), hide_short_help = true)]
    answer_seconds: u64,
    /// Seconds that requests under way may take after the service was told to stop
    #[arg(long, value_name = "SECONDS", env = "KEYHAVEN_STOP_SECONDS", default_value = "30", value_parser = seconds(), hide_short_help = true)]
    stop_seconds: u64,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// A line for people
    Text,
    /// A line of JSON
    Json,
}

/// Levels of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogLevel {
    /// What failed
    Error,
    /// What should be looked at
    Warn,
    /// Every request
    Info,
    /// More
    Debug,
}

macro_rules! limits {
    ($($field:ident, $flag:literal, $variable:literal, $what:literal;)+) => {
        /// Abuse limits.
        #[derive(Debug, Args)]
        #[command(next_help_heading = "Limits")]
        struct LimitArgs {
            $(
                #[doc = $what]
                #[arg(
                    long = $flag, value_name = "NUMBER", env = $variable, default_value_t = Limits::default().$field,
                    value_parser = clap::value_parser!(i64).range(1..), hide_short_help = true
                )]
                $field: i64,
            )+
        }

        impl LimitArgs {
            #[allow(clippy::needless_update, reason = "not every limit has to be a setting")]
            fn limits(&self) -> Limits {
                Limits { $($field: self.$field,)+ ..Limits::default() }
            }
        }
    };
}

limits! {
    sign_in_per_mail, "limit-sign-in-per-mail", "KEYHAVEN_LIMIT_SIGN_IN_PER_MAIL",
        "Password tries per mail address in 15 minutes that do not end in a sign-in; then a lock that doubles to a day";
    sign_in_per_net, "limit-sign-in-per-network", "KEYHAVEN_LIMIT_SIGN_IN_PER_NETWORK",
        "Password tries per network in a minute";
    sign_up_per_net, "limit-sign-up-per-network", "KEYHAVEN_LIMIT_SIGN_UP_PER_NETWORK",
        "Sign-ups begun per network in an hour";
    factor_tries, "limit-factor-tries", "KEYHAVEN_LIMIT_FACTOR_TRIES",
        "Tries at the second factor in one sign-in or step-up";
    totp_per_account, "limit-totp-per-account", "KEYHAVEN_LIMIT_TOTP_PER_ACCOUNT",
        "Wrong codes per account in an hour";
    mailed_codes, "limit-mailed-codes", "KEYHAVEN_LIMIT_MAILED_CODES",
        "Recoveries begun per mail address in an hour";
    resets_per_month, "limit-resets-per-month", "KEYHAVEN_LIMIT_RESETS_PER_MONTH",
        "Delayed resets of second factors begun per account in 30 days";
    user_codes, "limit-user-codes", "KEYHAVEN_LIMIT_USER_CODES",
        "Enrolment codes tried per network and per account in a minute";
    device_codes_per_net, "limit-device-codes-per-network", "KEYHAVEN_LIMIT_DEVICE_CODES_PER_NETWORK",
        "Enrolments begun per network in an hour";
    saves_per_device, "limit-saves-per-device", "KEYHAVEN_LIMIT_SAVES_PER_DEVICE",
        "New saves per device in an hour";
    saves_per_owner, "limit-saves-per-owner", "KEYHAVEN_LIMIT_SAVES_PER_OWNER",
        "New saves that the owner signs, per account in an hour: imports";
    new_keys_per_device, "limit-new-keys-per-device", "KEYHAVEN_LIMIT_NEW_KEYS_PER_DEVICE",
        "Saves of keys never seen before, per device in a day";
    records_per_account, "limit-records-per-account", "KEYHAVEN_LIMIT_RECORDS_PER_ACCOUNT",
        "Live records per account";
    reveals_per_hour, "limit-reveals-per-hour", "KEYHAVEN_LIMIT_REVEALS_PER_HOUR",
        "Reveals per account in an hour";
    reveals_per_day, "limit-reveals-per-day", "KEYHAVEN_LIMIT_REVEALS_PER_DAY",
        "Reveals per account in a day";
    exports_per_day, "limit-exports-per-day", "KEYHAVEN_LIMIT_EXPORTS_PER_DAY",
        "Grants spent on exports per account and day";
}

impl PlaceArgs {
    pub(super) fn config(&self) -> Config {
        Config {
            database: self.database.clone(),
            purge_database: self.purge_database.clone(),
            key_file: self.key_file.clone(),
            key_command: self.key_command.clone(),
            ..Config::in_folder(&self.data)
        }
    }

    /// Arguments are seen by everybody on the computer.
    pub(super) fn refuse_passwords_in_arguments(&self, from_argument: impl Fn(&str) -> bool) -> Outcome {
        let addresses = [
            ("database", &self.database, "KEYHAVEN_DATABASE"),
            ("purge-database", &self.purge_database, "KEYHAVEN_PURGE_DATABASE"),
        ];
        for (name, url, variable) in addresses {
            if from_argument(name) && url.as_ref().is_some_and(DatabaseUrl::holds_password) {
                let text = format!("a password stands in the argument --{name}, where others can read it");
                let hint = format!("put the address into the configuration file (--config) or into {variable}");
                return Err(Failure::could_not(text).hint(hint));
            }
        }
        Ok(())
    }
}

impl ServiceArgs {
    /// What the service is opened with.
    pub(super) fn config(&self, place: &PlaceArgs) -> Outcome<Config> {
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let network = Network {
            tls: self.tls(),
            trusted_proxies: self.trusted_proxy.clone(),
            metrics: self.metrics,
            connections: size(self.connections),
            connections_per_net: size(self.connections_per_network),
            head_time: Duration::from_secs(self.head_seconds),
            body_time: Duration::from_secs(self.body_seconds),
            answer_time: Duration::from_secs(self.answer_seconds),
            stop_time: Duration::from_secs(self.stop_seconds),
        };
        Ok(Config {
            origin: self.origin.clone(),
            notices: self.notices.clone(),
            smtp: self.mail.smtp()?,
            delays: Delays {
                off_hours: self.off_hours,
                reset_days: self.reset_days,
                deletion_days: self.deletion_days,
            },
            limits: self.limits.limits(),
            network,
            min_free_bytes: self.min_free,
            ..place.config()
        })
    }

    fn tls(&self) -> Option<Tls> {
        if !self.acme_domain.is_empty() {
            return Some(Tls::Acme(Acme {
                domains: self.acme_domain.clone(),
                contact: self.acme_contact.clone(),
                directory: self.acme_directory.clone(),
                authority: self.acme_authority.clone(),
            }));
        }
        let (certificate, key) = (self.tls_certificate.clone()?, self.tls_key.clone()?);
        Some(Tls::Files { certificate, key })
    }
}

fn key_command(text: &str) -> Result<KeyCommand, std::convert::Infallible> {
    Ok(KeyCommand::new(text))
}

/// Never repeats what it was given: a password may stand in it. Nor does the refusal (`crate::usage`).
fn database(text: &str) -> Result<DatabaseUrl, &'static str> {
    DatabaseUrl::new(text).ok_or("it starts with postgres://")
}

fn seconds() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=3600)
}
