//! `keyhaven up`: the control panel for the drives of this computer, in the browser; and the account service beside it, where that
//! is wanted.

#[cfg(feature = "serve")]
mod beside;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use drive_ops::account::state_folder;
use panel::{Config, Error, Panel, link_of_running};
use secret::SecretString;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::account::AccountArgs;
use crate::failure::{Failure, Outcome};
use crate::signals::Signals;
use crate::{files, output};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven up\n\n\
    The panel answers on this computer alone. Its link works once; running the command again while the panel runs gives another. \
    --with-service runs the account service, too, for this computer alone. Ctrl-C pauses what is being encrypted or decrypted, safely, locks what is unlocked, and ends. Drives that only root may \
    read need the command to be run as root.")]
pub(crate) struct UpArgs {
    /// Port of the panel; any free one without it
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// Print the link and open no browser
    #[arg(long)]
    no_open: bool,
    /// Where the kernel tells its devices
    #[arg(long, hide = true, value_name = "DIR", default_value = "/sys")]
    sys: PathBuf,
    /// Where devices are
    #[arg(long, hide = true, value_name = "DIR", default_value = "/dev")]
    dev: PathBuf,
    #[cfg(feature = "serve")]
    #[command(flatten)]
    beside: beside::BesideArgs,
    #[command(flatten)]
    account: AccountArgs,
}

pub(crate) fn run(arguments: &UpArgs, json: bool) -> Outcome {
    let state = state_folder(arguments.account.state.as_deref())?;
    if let Some(link) = link_of_running(&state) {
        let opened = open(arguments, &state, &link);
        tell(&link, opened.is_some(), None, json)?;
        #[cfg(feature = "serve")]
        if arguments.beside.is_wanted() {
            output::note("the panel ran already, with or without the service as it was started: end it to start both");
        }
        if opened.is_some() {
            // Until the browser has read the page that leads there.
            std::thread::sleep(std::time::Duration::from_secs(3));
        }
        return Ok(());
    }
    // Before the link is told: whoever reads it may stop the panel at once.
    let signals = Signals::watch()?;
    let (stop, stopped) = oneshot::channel();
    let mut stop = Some(stop);
    signals.then(move || {
        if let Some(stop) = stop.take() {
            // Nobody waits any longer: it ends already.
            let _ = stop.send(());
        }
    });
    let runtime =
        Runtime::new().map_err(|error| Failure::could_not("cannot start the control panel").because(&error))?;
    runtime.block_on(async {
        #[cfg(feature = "serve")]
        let service = arguments.beside.open(&state).await?;
        #[cfg(feature = "serve")]
        let (origin, told) = (service.as_ref().map(|service| service.origin.clone()), service.as_ref().map(Told::of));
        #[cfg(not(feature = "serve"))]
        let (origin, told) = (None, None);
        let config = Config {
            state: state.clone(),
            port: arguments.port,
            server: arguments.account.server.clone(),
            service: origin,
            sys: arguments.sys.clone(),
            dev: arguments.dev.clone(),
        };
        let panel = Panel::open(config).await.map_err(|error| explain(&error))?;
        let link = panel.link();
        let opened = open(arguments, &state, &link);
        tell(&link, opened.is_some(), told.as_ref(), json)?;
        drop((link, told));
        // The service ends after the panel: what the panel does last may be a save.
        #[cfg(feature = "serve")]
        let (end_service, service) = match service {
            Some(service) => {
                let (end, ended) = oneshot::channel::<()>();
                (Some(end), Some(tokio::spawn(service.serve(async { drop(ended.await) }))))
            }
            None => (None, None),
        };
        let ended = panel.serve(async { drop(stopped.await) }).await;
        drop(opened);
        #[cfg(feature = "serve")]
        if let Some(service) = service {
            drop(end_service);
            service.await.unwrap_or_else(|_| Err(Failure::could_not("the account service broke off")))?;
        }
        ended.map_err(|error| explain(&error))
    })
}

/// What is told about the service beside the panel.
struct Told {
    document: serde_json::Value,
    text: Zeroizing<String>,
}

impl Told {
    #[cfg(feature = "serve")]
    fn of(service: &beside::Beside) -> Self {
        let invite = service.invite.as_ref().map(|invite| invite.as_str());
        let notices = service.notices.display().to_string();
        let document = json!({ "origin": service.origin, "invite": invite, "notices": notices });
        Self { document, text: service.text() }
    }
}

fn tell(link: &SecretString, opened: bool, service: Option<&Told>, json: bool) -> Outcome {
    let document =
        json!({ "link": link.expose(), "opened": opened, "service": service.map(|told| told.document.clone()) });
    let mut text = Zeroizing::new(String::with_capacity(2048));
    text.push_str(if opened {
        "The control panel opens in your browser. If it does not, open this link, which works once:\n\n  "
    } else {
        "Open the control panel with this link, which works once:\n\n  "
    });
    text.push_str(link.expose());
    text.push('\n');
    if let Some(told) = service {
        text.push_str(&told.text);
    }
    text.push_str("\nCtrl-C here ends it.\n");
    output::report(json, &document, &text)
}

/// A page in a private file that leads to the panel. The link itself would be seen by everybody in the list of processes.
struct Leading(PathBuf);

impl Drop for Leading {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Opens the browser, where there is one.
fn open(arguments: &UpArgs, state: &Path, link: &SecretString) -> Option<Leading> {
    if arguments.no_open {
        return None;
    }
    let opener = opener()?;
    let file = state.join("panel-open.html");
    let _ = std::fs::remove_file(&file);
    let page = Zeroizing::new(format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Keyhaven</title><meta http-equiv=\"refresh\" content=\"0;url={}\">\n",
        link.expose()
    ));
    files::write_new_private(&file, page.as_bytes()).ok()?;
    let leading = Leading(file);
    let mut command = Command::new(opener);
    command.arg(&leading.0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().ok()?;
    Some(leading)
}

/// What opens a page in the browser of whoever sits here.
fn opener() -> Option<&'static str> {
    if cfg!(target_os = "macos") {
        return Some("open");
    }
    if cfg!(windows) {
        return Some("explorer");
    }
    let has_screen = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    has_screen.then_some("xdg-open")
}

fn explain(error: &Error) -> Failure {
    let failure = Failure::could_not("the control panel cannot run").because(error);
    match error {
        Error::Running => failure.hint("it does not answer; end the other `keyhaven up` first"),
        Error::Listen { .. } => failure.hint("another program may be there; choose another port with --port"),
        Error::Folder { .. } => failure.hint("check its owner and the free space, or name another folder with --state"),
        _ => failure,
    }
}
