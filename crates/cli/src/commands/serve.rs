//! `keyhaven serve`: the account service, in this process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use tokio::runtime::Runtime;
use vault_server::{Config, KeyFileError, Server, StartError, create_invite};
use zeroize::Zeroizing;

use crate::failure::{Failure, Outcome};
use crate::{files, output};

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
}

#[derive(Debug, Subcommand)]
enum ServeCommand {
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
        Some(ServeCommand::Invite(invited)) => runtime.block_on(invite(invited, &arguments.data.config(), json)),
        None => {
            start_log();
            runtime.block_on(serve(arguments, json))
        }
    }
}

async fn serve(arguments: ServeArgs, json: bool) -> Outcome {
    let config = Config { origin: arguments.origin, notices: arguments.notices, ..arguments.data.config() };
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
        StartError::Notices { .. } => failure.hint("check the folder (--notices), its owner and the free space"),
        StartError::Folder { .. } | StartError::Database { .. } => {
            failure.hint("check the folder (--data), its owner and the free space")
        }
        _ => failure,
    }
}
