//! The account service beside the panel, in the same process: for a first try, and for who keeps the keys of a home on one computer.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use vault_server::{Config, Server, create_invite, prepare};
use zeroize::Zeroizing;

use crate::commands::serve;
use crate::failure::Outcome;

/// How long the invite for the first account is good.
const INVITE_HOURS: u64 = 72;

#[derive(Debug, Args)]
pub(crate) struct BesideArgs {
    /// Run the account service beside the panel, for this computer alone
    #[arg(long)]
    with_service: bool,
    /// Port of that service; its address is part of every account, so it stays the same
    #[arg(long, value_name = "PORT", default_value_t = 8400, requires = "with_service")]
    service_port: u16,
    /// Folder of that service; one beside the state of this computer's account without it
    #[arg(long, value_name = "DIR", requires = "with_service")]
    service_data: Option<PathBuf>,
}

/// The service, ready to answer.
pub(super) struct Beside {
    server: Server,
    pub(super) origin: String,
    /// Folder of the notices to owners: without a mail server they lie there.
    pub(super) notices: PathBuf,
    /// For the first account, where there was no database before.
    pub(super) invite: Option<Zeroizing<String>>,
}

impl BesideArgs {
    pub(super) fn is_wanted(&self) -> bool {
        self.with_service
    }

    /// Opens it, where it is wanted.
    pub(super) async fn open(&self, state: &Path) -> Outcome<Option<Beside>> {
        if !self.with_service {
            return Ok(None);
        }
        let data = self.service_data.clone().unwrap_or_else(|| state.join("service"));
        let notices = data.join("notices");
        // By name, as passkeys need it; it listens on the loopback address all the same.
        let origin = format!("http://localhost:{}", self.service_port);
        let config = Config { origin: Some(origin.clone()), notices: Some(notices.clone()), ..Config::in_folder(data) };
        let is_new = !config.database_file().exists();
        let explain = |error| serve::explain(&error);
        let invite = if is_new {
            prepare(&config).await.map_err(explain)?;
            let invite = create_invite(&config, Duration::from_secs(INVITE_HOURS * 3600)).await.map_err(explain)?;
            Some(Zeroizing::new(invite))
        } else {
            None
        };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, self.service_port));
        let server = Server::open(config, listen).await.map_err(explain)?;
        Ok(Some(Beside { server, origin, notices, invite }))
    }
}

impl Beside {
    /// Answers until `stopped`.
    pub(super) async fn serve(self, stopped: impl Future<Output = ()> + Send + 'static) -> Outcome {
        self.server.serve(stopped).await.map_err(|error| serve::explain(&error))
    }

    /// What is told about it besides the panel's link.
    pub(super) fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(1024));
        text.push_str(&format!(
            "\nThe account service of this computer is at {}\n  mailed codes and notices lie in {}\n",
            self.origin,
            self.notices.display()
        ));
        if let Some(invite) = &self.invite {
            text.push_str(&format!(
                "  make the first account there with this invite, good for {INVITE_HOURS} hours:\n\n  "
            ));
            text.push_str(invite);
            text.push_str("\n\n  Back up its folder: without `server.keys` in it nobody can sign in again.\n");
        }
        text
    }
}
