//! `keyhaven device`: computers that may save keys to the account.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use vault_client::{DeviceId, DeviceSummary, OwnerApproval, Presence};

use crate::account::{AccountArgs, HttpClient, PersonArgs, explain};
use crate::failure::{Failure, Outcome};
use crate::times::time;
use crate::{output, prompt, secrets};

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Let this computer save recovery keys; two-factor is asked for once, and never again for saving
    Enrol(EnrolArgs),
    /// Approve another computer that shows a code
    Approve(ApproveArgs),
    /// The computers that may save keys
    List(ListArgs),
    /// Take the right to save from a computer; what it saved stays
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven device enrol --by-code --server https://keys.example.org\n\n\
    With --json, --by-code reports twice: first the codes, then the enrolled device.")]
pub(crate) struct EnrolArgs {
    /// What to call this computer; its own name otherwise
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Show a code to be approved on a computer where you are signed in, instead of signing in here
    #[arg(long)]
    by_code: bool,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven device approve")]
pub(crate) struct ApproveArgs {
    /// File with the two codes that the other computer shows, one per line; asked for otherwise
    #[arg(long, value_name = "FILE")]
    device_codes_file: Option<PathBuf>,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven device list")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven device revoke \"old laptop\"")]
pub(crate) struct RevokeArgs {
    /// Name or identifier of the computer
    #[arg(value_name = "DEVICE")]
    device: String,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

pub(crate) fn run(command: &DeviceCommand, json: bool) -> Outcome {
    match command {
        DeviceCommand::Enrol(arguments) => enrol(arguments, json),
        DeviceCommand::Approve(arguments) => approve(arguments, json),
        DeviceCommand::List(arguments) => list(arguments, json),
        DeviceCommand::Revoke(arguments) => revoke(arguments, json),
    }
}

fn enrol(arguments: &EnrolArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    if client.is_enrolled().map_err(|error| explain(&error))? {
        output::note("this computer was enrolled before; its old enrolment is replaced");
    }
    let name = arguments.name.clone().unwrap_or_else(|| match crate::host::name() {
        name if name.is_empty() => "computer".to_owned(),
        name => name,
    });
    let device = if arguments.by_code {
        enrol_by_code(&client, &name, json)?
    } else {
        // Asked before the password: without a session it would be typed for nothing.
        client.account().map_err(|error| {
            let failure = explain(&error);
            let hint = failure.hint.clone().unwrap_or_default();
            failure.hint(format!("{hint}; or use --by-code and approve it where you are signed in"))
        })?;
        let mut person = arguments.person.person()?.at(&client);
        person.confirm(|presence| client.enrol_this_computer(&name, presence))?
    };
    let document = json!({ "device": device.to_string(), "name": name, "state": "active" });
    let text = format!(
        "This computer, \"{name}\", may save recovery keys now. Two-factor stays on, and saving will not ask for it.\n\n\
         Next: save the key of a drive.\n  keyhaven backup DRIVE --to account\n"
    );
    output::report(json, &document, &text)
}

fn enrol_by_code(client: &HttpClient, name: &str, json: bool) -> Outcome<DeviceId> {
    let enrolment = client.request_enrolment(name).map_err(|error| explain(&error))?;
    let check_code = enrolment.check_code().unwrap_or_else(|| "".into());
    let document = json!({ "user_code": enrolment.user_code(), "check_code": check_code.expose(), "state": "pending" });
    let text = format!(
        "On a computer where you are signed in, run `keyhaven device approve` and type\n\n  \
         code        {}\n  check code  {}\n\nThe codes are good for ten minutes. Waiting...\n",
        enrolment.user_code(),
        check_code.expose()
    );
    output::report(json, &document, &text)?;
    loop {
        thread::sleep(Duration::from_secs(enrolment.interval_seconds().clamp(1, 30)));
        match client.poll_enrolment(&enrolment) {
            Ok(Some(device)) => return Ok(device),
            Ok(None) => {}
            // A short break in the line is no reason to start again: the code still lives.
            Err(vault_client::Error::Transport(_)) => {}
            Err(error) => return Err(explain(&error)),
        }
    }
}

fn approve(arguments: &ApproveArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    client.account().map_err(|error| explain(&error))?;
    let (user_code, check_code) = device_codes(arguments)?;
    let mut person = arguments.person.person()?.at(&client);
    let device = person.confirm(|presence| {
        client.approve_device(&OwnerApproval {
            user_code: user_code.clone(),
            check_code: check_code.clone(),
            presence: Presence { password: presence.password.clone(), code: presence.code.clone() },
        })
    })?;
    let document = json!({ "device": device.to_string(), "state": "active" });
    output::report(json, &document, "The other computer may save recovery keys to your account now.\n")
}

fn device_codes(arguments: &ApproveArgs) -> Outcome<(String, String)> {
    let Some(path) = &arguments.device_codes_file else {
        let user_code = prompt::line("code on the other computer")?;
        return Ok((user_code, prompt::line("check code on the other computer")?));
    };
    let bytes = secrets::read_secret_file(path)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next()) {
        (Some(user_code), Some(check_code)) => Ok((user_code.to_owned(), check_code.to_owned())),
        _ => Err(Failure::could_not(format!("{} does not hold two codes", path.display()))),
    }
}

fn list(arguments: &ListArgs, json: bool) -> Outcome {
    let devices = arguments.account.open()?.devices().map_err(|error| explain(&error))?;
    let document = json!({ "devices": devices.iter().map(|device| json!({
        "id": device.device_id.to_string(), "name": device.name, "state": device.state, "saves": device.last_seq,
        "enrolled": time(device.issued_at), "seen": device.seen_at.map(time), "verified": device.verified,
        "this_computer": device.this_computer,
    })).collect::<Vec<_>>() });
    let text = match devices.as_slice() {
        [] => "No computer may save keys yet; `keyhaven device enrol` lets this one.\n".to_owned(),
        devices => devices.iter().map(line).collect(),
    };
    output::report(json, &document, &text)
}

fn line(device: &DeviceSummary) -> String {
    let mut line = format!("{}  {}", device.name, device.state);
    if device.this_computer {
        line.push_str("  (this computer)");
    }
    if !device.verified {
        line.push_str("  WARNING: its certificate is not signed by your account");
    }
    let seen = device.seen_at.map_or_else(|| "never".to_owned(), time);
    format!(
        "{line}\n  enrolled {}, last save {seen}, {} saves\n  {}\n",
        time(device.issued_at),
        device.last_seq,
        device.device_id
    )
}

fn revoke(arguments: &RevokeArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let devices = client.devices().map_err(|error| explain(&error))?;
    let wanted = arguments.device.as_str();
    let is_wanted = |device: &&DeviceSummary| {
        device.state == "active" && (device.name == wanted || device.device_id.to_string() == wanted)
    };
    let found: Vec<&DeviceSummary> = devices.iter().filter(is_wanted).collect();
    let device = match found.as_slice() {
        [device] => device.device_id,
        [] => {
            return Err(Failure::no(format!("the account has no active device {wanted:?}"))
                .hint("`keyhaven device list` lists them"));
        }
        _ => return Err(Failure::no(format!("several devices are called {wanted:?}")).hint("use its identifier")),
    };
    let mut person = arguments.person.person()?.at(&client);
    person.confirm(|presence| client.revoke_device(device, presence))?;
    let document = json!({ "device": device.to_string(), "state": "revoked" });
    output::report(json, &document, &format!("\"{wanted}\" saves no more. What it saved stays in the account.\n"))
}
