//! `keyhaven export webdav`.

use std::net::SocketAddr;

use clap::Args;
use export_webdav::{Error, Password, Server, USER};
use serde_json::json;
use zeroize::Zeroizing;

use crate::commands::sharing::{self, Signals};
use crate::drive::{DriveArgs, UnlockArgs};
use crate::failure::{Failure, Outcome};
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven export webdav /dev/sdb1\n\n\
    The command prints an address, a user name and a password made for this one time; give them to a file manager that \
    connects to servers: Finder (Go, Connect to Server), Explorer (Map network drive), davfs2, or `curl --digest`. It runs \
    until Ctrl-C. The files can be read, not changed.\n\n\
    Only programs on this computer can connect. Links are not shown. Explorer copies no file above 50 MB, unless \
    FileSizeLimitInBytes of the service WebClient in the registry allows it; `curl` does.")]
pub(crate) struct WebdavArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Where to listen, on this computer; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[command(flatten)]
    unlock: UnlockArgs,
}

pub(crate) fn run(arguments: &WebdavArgs, json: bool) -> Outcome {
    // Before a secret is asked for.
    if !arguments.listen.ip().is_loopback() {
        return Err(explain(&Error::NotLoopback { address: arguments.listen }));
    }
    let shared = sharing::open_tree(&arguments.drive.drive, &arguments.unlock)?;
    let password = Password::random().map_err(|source| explain(&Error::Start { source }))?;
    let signals = Signals::watch()?;
    let server =
        Server::bind(shared.tree.clone(), arguments.listen, password.clone()).map_err(|error| explain(&error))?;
    let stopper = server.stopper();
    signals.then(move || stopper.stop());

    let drive = arguments.drive.drive.display().to_string();
    let url = format!("http://{}/", server.address());
    let document = json!({ "drive": drive, "url": url, "user": USER, "password": password.expose() });
    let text = Zeroizing::new(format!(
        "The files of {drive} are at {url}\n  user name {USER}\n  password  {}\nStop it with Ctrl-C.\n",
        password.expose()
    ));
    let told = output::report(json, &document, &text);
    if told.is_err() {
        // Nobody would know the password.
        server.stopper().stop();
    }
    server.serve().map_err(|error| explain(&error)).and(told)
}

fn explain(error: &Error) -> Failure {
    match error {
        Error::NotLoopback { address } => Failure::no(format!("{address} can be reached from other computers"))
            .cause("the password and the files would cross the network for everybody to read")
            .hint("listen on 127.0.0.1; from another computer, `ssh -L` leads there through an encrypted connection"),
        Error::Listen { .. } => Failure::could_not("the files are not exported")
            .because(error)
            .hint("another program may be there; leave --listen out for a free port"),
        _ => Failure::could_not("the files are not exported").because(error),
    }
}
