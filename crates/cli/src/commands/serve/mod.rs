//! `keyhaven serve`: the account service, in this process.

mod backup;
mod check;
mod file;
mod init;
mod log;
mod mail;
#[cfg(test)]
mod page;
mod settings;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use tokio::runtime::Runtime;
use vault_server::{Config, KeyFileError, Renewal, Server, StartError, TlsError, begin_reset, create_invite};
use zeroize::Zeroizing;

use self::file::{Resolved, Source};
use self::settings::{PlaceArgs, ServiceArgs};
use crate::failure::{Failure, Outcome};
use crate::times::time;
use crate::{files, output};

#[derive(Debug, Args)]
#[command(
    after_help = "Example: keyhaven serve --data /var/lib/keyhaven --listen 127.0.0.1:8400 --origin https://keys.example.org\n\n\
    Example: keyhaven serve --config /etc/keyhaven/keyhaven.toml --check\n\n\
    A flag counts before its variable of the environment, that before the configuration file, and that before the default. \
    Beyond this computer the service answers only by HTTPS: its own (--tls-certificate, --acme-domain) or that of a proxy \
    (--trusted-proxy). Make an invite for each new account with `keyhaven serve invite`. `--help` lists times, numbers and limits, \
    too; docs/OPERATION.md has them on one page."
)]
pub(crate) struct ServeArgs {
    #[command(subcommand)]
    command: Option<ServeCommand>,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    service: ServiceArgs,
    /// Make folder, keys and database, tell what to back up, and make an invite for the first account
    #[arg(long, conflicts_with = "check")]
    init: bool,
    /// Tell what is in force and from where, and whether keys and certificate can be used; changes nothing
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Subcommand)]
enum ServeCommand {
    /// Make an invite: whoever has it can make one account
    Invite(InviteArgs),
    /// Begin the delayed reset of an account's second factors, which only its owner can finish
    ResetFactors(ResetFactorsArgs),
    /// Copy the database to a new file while the service runs
    Backup(backup::BackupArgs),
    /// Put a backup into a data folder that has no database
    Restore(backup::RestoreArgs),
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

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven serve reset-factors --data /var/lib/keyhaven --email ada@example.org\n\n\
    For somebody who lost every second factor. It begins the same delay that the owner could begin, is announced to the owner, \
    stands in the audit trail, and can be cancelled. Finishing takes the owner's password or emergency kit and a mailed code; \
    nothing here can do it or make it come sooner.")]
struct ResetFactorsArgs {
    /// E-mail address of the account
    #[arg(long, value_name = "ADDRESS")]
    email: String,
}

pub(crate) fn run(arguments: &ServeArgs, json: bool) -> Outcome {
    let resolved = file::resolve(arguments.place.config.as_deref())?;
    let ServeArgs { command, place, service, init, check } = &resolved.arguments;
    place.refuse_passwords_in_arguments(|name| resolved.source(&name.replace('-', "_"), name) == Source::Flag)?;
    let runtime = Runtime::new().map_err(|error| Failure::could_not("cannot start the service").because(&error))?;
    match command {
        Some(ServeCommand::Invite(invited)) => runtime.block_on(invite(invited, &place.config(), json)),
        Some(ServeCommand::ResetFactors(reset)) => {
            runtime.block_on(reset_factors(reset, &service.config(place)?, json))
        }
        Some(ServeCommand::Backup(backup)) => runtime.block_on(backup::back_up_to(backup, &place.config(), json)),
        Some(ServeCommand::Restore(restore)) => runtime.block_on(backup::restore(restore, &place.config(), json)),
        None if *check => check::run(&resolved, json),
        None if *init => runtime.block_on(init::run(&service.config(place)?, &service.listen.to_string(), json)),
        None => {
            log::start(service.log_format, service.log_level);
            runtime.block_on(serve(&resolved, json))
        }
    }
}

async fn serve(resolved: &Resolved, json: bool) -> Outcome {
    let ServeArgs { place, service, .. } = &resolved.arguments;
    let config = service.config(place)?;
    let database =
        config.database.as_ref().map_or_else(|| config.database_file().display().to_string(), ToString::to_string);
    // Before the address is told: whoever reads it may stop the service at once.
    let watching = |error| Failure::could_not("cannot watch for signals").because(&error);
    let stop = StopSignal::new().map_err(watching)?;
    let server = Server::open(config, service.listen).await.map_err(|error| explain(&error))?;
    renew_on_signal(server.renewal()).map_err(watching)?;
    let metrics = server.metrics_addr().map(|address| address.to_string());
    let document = json!({
        "origin": server.origin(), "listening": server.local_addr().to_string(), "database": database, "metrics": metrics,
    });
    let told = metrics.map(|address| format!("  telling metrics on {address}\n")).unwrap_or_default();
    let text = format!(
        "The account service is at {}\n  listening on {}, keeping everything in {database}\n{told}Stop it with Ctrl-C.\n",
        server.origin(),
        server.local_addr(),
    );
    output::report(json, &document, &text)?;
    server.serve(stop.wait()).await.map_err(|error| explain(&error))
}

/// SIGHUP: there is a new certificate.
#[cfg(unix)]
fn renew_on_signal(renewal: Renewal) -> std::io::Result<()> {
    let mut signals = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            renewal.now();
        }
    });
    Ok(())
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere there are signals")]
fn renew_on_signal(_: Renewal) -> std::io::Result<()> {
    Ok(())
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

pub(super) fn explain(error: &StartError) -> Failure {
    let failure = Failure::could_not("the account service cannot run").because(error);
    match error {
        StartError::Keys { source: KeyFileError::Missing, .. } => {
            failure.hint("put the key file back from its backup; without it nobody can sign in")
        }
        StartError::Keys { source: KeyFileError::Permissions { .. }, path } => {
            failure.hint(format!("chmod 600 {}", path.display()))
        }
        StartError::Keys { source: KeyFileError::OfAnother, .. } => {
            failure.hint("put the key file of this database back from its backup; with other keys nobody could sign in")
        }
        StartError::Keys { source: KeyFileError::Command(_), .. } => {
            failure.hint("run the command by hand as the service's user; it must print what `serve --init` wrote to the key file")
        }
        StartError::Tls(TlsError::Permissions { path, .. }) => failure.hint(format!("chmod 600 {}", path.display())),
        StartError::Tls(TlsError::Pair { .. }) => {
            failure.hint("the file of the certificate must begin with the service's own, then those that lead to its authority")
        }
        StartError::Listen { .. } => failure.hint("another program may be there; choose another address with --listen"),
        StartError::Unprotected { .. } => {
            failure.hint(
                "give it a certificate (--tls-certificate and --tls-key, or --acme-domain), or put it behind a proxy that speaks HTTPS \
                 (--trusted-proxy), and name the address that people use with --origin https://...",
            )
        }
        StartError::OriginChanged { stored, .. } => {
            failure.hint(format!("start it with --origin {stored}, or with an empty --data folder"))
        }
        StartError::Smtp { .. } => failure.hint("check --smtp, --smtp-from and --smtp-ca-file"),
        StartError::NoNotices => failure.hint("give the service a way to send mail: --smtp or --notices"),
        StartError::Notices { .. } => failure.hint("check the folder (--notices), its owner and the free space"),
        StartError::Database { name, .. } if name.starts_with("postgres") => failure.hint(
            "check that the database server answers, that the database and the role are there, and its log; \
             docs/OPERATION.md tells how they are made",
        ),
        StartError::Folder { .. } | StartError::Database { .. } => {
            failure.hint("check the folder (--data), its owner and the free space")
        }
        _ => failure,
    }
}
