//! `keyhaven serve`: the account service, in this process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use secret::SecretString;
use serde_json::json;
use tokio::runtime::Runtime;
use vault_server::{Config, KeyFileError, Server, Smtp, SmtpSecurity, StartError, begin_reset, create_invite};
use zeroize::Zeroizing;

use crate::failure::{Failure, Outcome};
use crate::times::time;
use crate::{files, output, secrets};

#[derive(Debug, Args)]
#[command(
    after_help = "Example: keyhaven serve --data /var/lib/keyhaven --listen 127.0.0.1:8400 --origin https://keys.example.org\n\n\
    The service speaks plain HTTP: beyond this computer it belongs behind a proxy that speaks HTTPS. Make an invite for \
    each new account with `keyhaven serve invite`."
)]
pub(crate) struct ServeArgs {
    #[command(subcommand)]
    command: Option<ServeCommand>,
    #[command(flatten)]
    data: DataArgs,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8400")]
    listen: SocketAddr,
    /// Address under which people reach the service; cannot change once there are accounts
    #[arg(long, value_name = "URL", env = "KEYHAVEN_ORIGIN")]
    origin: Option<String>,
    /// Folder that gets a file for each notice to an owner, among them codes for lost passwords; whoever runs the service
    /// sends them on
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, env = "KEYHAVEN_NOTICES")]
    notices: Option<PathBuf>,
    #[command(flatten)]
    mail: MailArgs,
}

/// The mail server that notices go to.
#[derive(Debug, Args)]
struct MailArgs {
    /// Mail server that notices are handed to: smtps://HOST (TLS), smtp://HOST (STARTTLS), or smtp+plain://127.0.0.1 on this
    /// computer
    #[arg(long, global = true, value_name = "URL", value_parser = parse_smtp, env = "KEYHAVEN_SMTP", requires = "smtp_from",
        conflicts_with = "notices")]
    smtp: Option<(SmtpSecurity, String, u16)>,
    /// Address that mails come from
    #[arg(long, global = true, value_name = "ADDRESS", env = "KEYHAVEN_SMTP_FROM")]
    smtp_from: Option<String>,
    /// File with user name and password for the mail server, one line each (else KEYHAVEN_SMTP_USER and
    /// KEYHAVEN_SMTP_PASSWORD)
    #[arg(long, global = true, value_name = "FILE")]
    smtp_credentials_file: Option<PathBuf>,
    /// Certificates (PEM) that the mail server is checked with, in place of the public ones
    #[arg(long, global = true, value_name = "FILE", env = "KEYHAVEN_SMTP_CA_FILE")]
    smtp_ca_file: Option<PathBuf>,
}

impl MailArgs {
    fn smtp(&self) -> Outcome<Option<Smtp>> {
        let Some((security, host, port)) = &self.smtp else { return Ok(None) };
        Ok(Some(Smtp {
            host: host.clone(),
            port: *port,
            security: *security,
            credentials: self.credentials()?,
            from: self.smtp_from.clone().unwrap_or_default(),
            ca_file: self.smtp_ca_file.clone(),
        }))
    }

    fn credentials(&self) -> Outcome<Option<(String, SecretString)>> {
        let Some(path) = &self.smtp_credentials_file else {
            let user = secrets::variable("KEYHAVEN_SMTP_USER")?;
            let password = secrets::variable("KEYHAVEN_SMTP_PASSWORD")?;
            return Ok(user.map(|user| user.expose().trim().to_owned()).zip(password));
        };
        let bytes = secrets::read_secret_file(path)?;
        let mut lines = std::str::from_utf8(&bytes).unwrap_or_default().lines();
        match (lines.next(), lines.next()) {
            (Some(user), Some(password)) if !user.is_empty() => {
                Ok(Some((user.to_owned(), SecretString::from(password))))
            }
            _ => Err(Failure::could_not(format!("{} does not hold a user name and a password", path.display()))
                .hint("write the user name into its first line and the password into the second")),
        }
    }
}

fn parse_smtp(url: &str) -> Result<(SmtpSecurity, String, u16), String> {
    let (scheme, rest) = url.split_once("://").ok_or("say smtps://HOST, smtp://HOST or smtp+plain://HOST")?;
    let (security, port) = match scheme {
        "smtps" => (SmtpSecurity::Tls, 465),
        "smtp" => (SmtpSecurity::StartTls, 587),
        "smtp+plain" => (SmtpSecurity::Plain, 25),
        _ => return Err("say smtps://HOST, smtp://HOST or smtp+plain://HOST".to_owned()),
    };
    let rest = rest.trim_end_matches('/');
    if rest.contains('@') {
        return Err("user name and password do not belong here: use --smtp-credentials-file".to_owned());
    }
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, port),
        Some((host, rest)) => (host, number(rest.strip_prefix(':').unwrap_or_default())?),
        None => match rest.rsplit_once(':') {
            Some((host, number_text)) => (host, number(number_text)?),
            None => (rest, port),
        },
    };
    if host.is_empty() { Err("the host is missing".to_owned()) } else { Ok((security, host.to_owned(), port)) }
}

fn number(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("{text:?} is not a port"))
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven serve reset-factors --data /var/lib/keyhaven --email ada@example.org\n\n\
    For somebody who lost every second factor. It begins the same delay that the owner could begin, is announced to the owner, \
    stands in the audit trail, and can be cancelled. Finishing takes the owner's password or emergency kit and a mailed code; \
    nothing here can do it or make it come sooner.")]
struct ResetFactorsArgs {
    /// E-mail address of the account
    #[arg(long, value_name = "ADDRESS")]
    email: String,
    /// Folder that gets a file for each notice, as the service has it
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, env = "KEYHAVEN_NOTICES")]
    notices: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum ServeCommand {
    /// Begin the delayed reset of an account's second factors, which only its owner can finish
    ResetFactors(ResetFactorsArgs),
    /// Make an invite: whoever has it can make one account
    Invite(InviteArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven serve invite --data /var/lib/keyhaven --hours 24")]
struct InviteArgs {
    /// How long it is good
    #[arg(long, value_name = "HOURS", default_value_t = 72, value_parser = clap::value_parser!(u64).range(1..=8760))]
    hours: u64,
    /// Write the invite to this new file instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Where the service keeps its things.
#[derive(Debug, Args)]
struct DataArgs {
    /// Folder of the database
    #[arg(long, global = true, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath, env = "KEYHAVEN_DATA", default_value = "keyhaven-data")]
    data: PathBuf,
    /// File of the server's secrets; keep it, and its backups, apart from the database [default: server.keys in --data]
    #[arg(long, global = true, value_name = "FILE", env = "KEYHAVEN_KEY_FILE")]
    key_file: Option<PathBuf>,
}

impl DataArgs {
    fn config(&self) -> Config {
        Config { key_file: self.key_file.clone(), ..Config::in_folder(&self.data) }
    }
}

pub(crate) fn run(arguments: ServeArgs, json: bool) -> Outcome {
    let runtime = Runtime::new().map_err(|error| Failure::could_not("cannot start the service").because(&error))?;
    match &arguments.command {
        Some(ServeCommand::ResetFactors(reset)) => {
            let smtp = arguments.mail.smtp()?;
            let config = Config { notices: reset.notices.clone(), smtp, ..arguments.data.config() };
            runtime.block_on(reset_factors(reset, &config, json))
        }
        Some(ServeCommand::Invite(invited)) => runtime.block_on(invite(invited, &arguments.data.config(), json)),
        None => {
            start_log();
            runtime.block_on(serve(arguments, json))
        }
    }
}

async fn serve(arguments: ServeArgs, json: bool) -> Outcome {
    let smtp = arguments.mail.smtp()?;
    let config = Config { origin: arguments.origin, notices: arguments.notices, smtp, ..arguments.data.config() };
    let database = config.database_file();
    // Before the address is told: whoever reads it may stop the service at once.
    let stop = StopSignal::new().map_err(|error| Failure::could_not("cannot watch for signals").because(&error))?;
    let server = Server::open(config, arguments.listen).await.map_err(|error| explain(&error))?;
    let document = json!({
        "origin": server.origin(), "listening": server.local_addr().to_string(), "database": database.display().to_string(),
    });
    let text = format!(
        "The account service is at {}\n  listening on {}, keeping everything in {}\nStop it with Ctrl-C.\n",
        server.origin(),
        server.local_addr(),
        database.display()
    );
    output::report(json, &document, &text)?;
    server.serve(stop.wait()).await.map_err(|error| explain(&error))
}

async fn invite(arguments: &InviteArgs, config: &Config, json: bool) -> Outcome {
    let lifetime = Duration::from_secs(arguments.hours * 3600);
    let invite = create_invite(config, lifetime).await.map_err(|error| explain(&error))?;
    let invite = Zeroizing::new(invite);
    if let Some(path) = &arguments.out {
        files::write_new_private(path, format!("{}\n", *invite).as_bytes())?;
        let document = json!({ "out": path.display().to_string(), "hours": arguments.hours });
        let text = format!(
            "The invite is in {}; it is good for one account, for {} hours.\n",
            path.display(),
            arguments.hours
        );
        return output::report(json, &document, &text);
    }
    let document = json!({ "invite": *invite, "hours": arguments.hours });
    let text = Zeroizing::new(format!("{}\n", *invite));
    output::report(json, &document, &text)
}

async fn reset_factors(arguments: &ResetFactorsArgs, config: &Config, json: bool) -> Outcome {
    let begun = begin_reset(config, &arguments.email).await.map_err(|error| explain(&error))?;
    let Some(due_at) = begun else {
        return Err(Failure::no("there is no such account with two-factor on").hint("check the address"));
    };
    let text = format!(
        "The reset has begun. From {} on, and for a week, the owner can finish it:\n  keyhaven account reset-factors --finish\n",
        time(due_at)
    );
    output::report(json, &json!({ "finish_after": time(due_at) }), &text)
}

/// One line per request to standard error: no addresses, no identifiers, no bodies.
fn start_log() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_target(false).init();
}

/// Ctrl-C, or the signal that service managers send.
struct StopSignal {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl StopSignal {
    #[cfg(unix)]
    fn new() -> std::io::Result<Self> {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        Ok(Self { terminate })
    }

    #[cfg(not(unix))]
    fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(unix)]
    async fn wait(mut self) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn wait(self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

fn explain(error: &StartError) -> Failure {
    let failure = Failure::could_not("the account service cannot run").because(error);
    match error {
        StartError::Keys { source: KeyFileError::Missing, .. } => {
            failure.hint("put the key file back from its backup; without it nobody can sign in")
        }
        StartError::Keys { source: KeyFileError::Permissions { .. }, path } => {
            failure.hint(format!("chmod 600 {}", path.display()))
        }
        StartError::Listen { .. } => failure.hint("another program may be there; choose another address with --listen"),
        StartError::Unprotected { .. } => {
            failure.hint("put it behind a proxy that speaks HTTPS, and name that address with --origin https://...")
        }
        StartError::OriginChanged { stored, .. } => {
            failure.hint(format!("start it with --origin {stored}, or with an empty --data folder"))
        }
        StartError::Smtp { .. } => failure.hint("check --smtp, --smtp-from and --smtp-ca-file"),
        StartError::NoNotices => failure.hint("give the service a way to send mail: --smtp or --notices"),
        StartError::Delays => failure.hint("delays may be longer than the defaults, and never shorter"),
        StartError::Notices { .. } => failure.hint("check the folder (--notices), its owner and the free space"),
        StartError::Folder { .. } | StartError::Database { .. } => {
            failure.hint("check the folder (--data), its owner and the free space")
        }
        _ => failure,
    }
}
