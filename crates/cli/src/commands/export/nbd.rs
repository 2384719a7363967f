//! `keyhaven export nbd`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use export_nbd::{Address, Error, Options, Server, Tls, TlsFiles};
use serde_json::json;

use crate::commands::sharing::{self, Signals};
use crate::drive::{DriveArgs, UnlockArgs};
use crate::failure::{Failure, Outcome};
use crate::output;

/// Name of the disk; clients may leave it out.
const NAME: &str = "volume";
/// The port that is registered for NBD.
#[cfg(not(unix))]
const PORT: u16 = 10809;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven export nbd /dev/sdb1 --socket drive.sock\n\n\
    The command runs until Ctrl-C and ends when everything written is safely on the drive. In another terminal, \
    `qemu-img info nbd+unix:///?socket=drive.sock` or `nbdcopy nbd+unix:///?socket=drive.sock plain.img` use the drive \
    meanwhile.\n\n\
    Whoever can connect can read the drive, and change it with --write. Only your account can connect to a socket. \
    Every account of this computer can connect to 127.0.0.1; beyond this computer, clients must show a certificate.")]
pub(crate) struct NbdArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Allow writing; whatever is written changes the drive
    #[arg(long)]
    write: bool,
    /// Listen on this Unix socket, which is made [default: one in the folder for your session]
    #[cfg(unix)]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Listen on this TCP address instead, for instance 127.0.0.1:10809
    #[cfg_attr(unix, arg(conflicts_with = "socket"))]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Certificate of this server (PEM); every client must then use TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of this server (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Serve only clients with a certificate by this authority (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    #[command(flatten)]
    unlock: UnlockArgs,
}

pub(crate) fn run(arguments: &NbdArgs, json: bool) -> Outcome {
    // Before a secret is asked for.
    let tls = tls(arguments)?;
    let address = address(arguments, tls.as_ref())?;
    let shared = sharing::open_disk(&arguments.drive.drive, arguments.write, &arguments.unlock)?;
    let drive = arguments.drive.drive.display().to_string();
    let signals = Signals::watch()?;
    let encrypted = tls.is_some();
    let options = Options { name: NAME.to_owned(), description: format!("the plain volume of {drive}"), tls };
    let server = Server::bind(shared.disk.clone(), &address, options).map_err(|error| explain(&error))?;
    let stopper = server.stopper();
    signals.then(move || stopper.stop());

    let uri = uri(server.address(), encrypted);
    let bytes = shared.disk.length_bytes();
    let document = json!({
        "drive": drive, "uri": uri, "address": server.address().to_string(), "name": NAME, "bytes": bytes,
        "writable": arguments.write, "tls": encrypted,
    });
    let text = format!(
        "{drive} is at {uri}\n  the plain volume, {}, {}\nStop it with Ctrl-C.\n",
        output::size(bytes),
        if arguments.write { "for reading and writing" } else { "for reading" },
    );
    if matches!(server.address(), Address::Tcp(_)) && arguments.tls_client_ca.is_none() {
        output::note("warning: every account of this computer can use the drive meanwhile; --socket keeps others out");
    }
    let told = output::report(json, &document, &text);
    if told.is_err() {
        // Nobody would know where it is.
        server.stopper().stop();
    }
    server.serve().map_err(|error| explain(&error)).and(told)
}

fn tls(arguments: &NbdArgs) -> Outcome<Option<Tls>> {
    let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) else { return Ok(None) };
    let client_authorities = arguments.tls_client_ca.clone();
    let files = TlsFiles { certificate: certificate.clone(), key: key.clone(), client_authorities };
    Tls::load(&files).map(Some).map_err(|error| explain(&error))
}

fn address(arguments: &NbdArgs, tls: Option<&Tls>) -> Outcome<Address> {
    if let Some(address) = arguments.listen {
        if !address.ip().is_loopback() && !tls.is_some_and(Tls::knows_clients) {
            return Err(Failure::no(format!("{address} can be reached from other computers"))
                .cause("whoever connects there could read the drive")
                .hint(
                    "listen on 127.0.0.1, or let clients show a certificate: --tls-cert, --tls-key, --tls-client-ca",
                ));
        }
        return Ok(Address::Tcp(address));
    }
    #[cfg(unix)]
    return Ok(Address::Unix(arguments.socket.clone().unwrap_or_else(default_socket)));
    #[cfg(not(unix))]
    Ok(Address::Tcp(SocketAddr::from(([127, 0, 0, 1], PORT))))
}

#[cfg(unix)]
fn default_socket() -> PathBuf {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    folder.join(format!("keyhaven-nbd-{}.sock", std::process::id()))
}

/// What clients are given to find the server.
fn uri(address: &Address, encrypted: bool) -> String {
    let scheme = if encrypted { "nbds" } else { "nbd" };
    match address {
        #[cfg(unix)]
        Address::Unix(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            format!("{scheme}+unix:///?socket={}", percent_encoded(path.as_os_str().as_encoded_bytes()))
        }
        Address::Tcp(address) => format!("{scheme}://{address}"),
    }
}

#[cfg(unix)]
fn percent_encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn explain(error: &Error) -> Failure {
    let failure = Failure::could_not("the drive is not exported").because(error);
    match error {
        Error::Listen { .. } => failure.hint("choose another place with --socket or --listen"),
        Error::InUse { .. } => failure.hint("end the other server first, or choose another --socket"),
        Error::NotASocket { address } => failure.hint(format!("choose another --socket, or move {address} away")),
        Error::Tls { .. } => {
            failure.hint("certificates and keys are PEM files; the key must belong to the certificate")
        }
        Error::Flush { .. } => Failure::could_not("the end of what was written may be lost")
            .because(error)
            .hint("look at the drive's connection, open it again and check what was written last"),
        _ => failure,
    }
}
