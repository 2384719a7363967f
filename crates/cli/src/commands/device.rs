//! `keyhaven device`: computers that may save keys to the account.

mod log;
mod run;
mod watched;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::{Args, Subcommand};
use secret::SecretString;
use serde_json::json;
use vault_client::{Approved, DeviceEnrolment, DeviceId, DeviceSummary, LinkApproval, OwnerApproval, Presence};
use zeroize::Zeroizing;

use super::files::shown;
use crate::account::{AccountArgs, HttpClient, PersonArgs, explain, picture};
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
    /// Give a computer another name, which only you can read
    Rename(RenameArgs),
    /// Look after this computer's drives: deliver keys, carry out orders to replace keys, check what is saved
    Run(run::RunArgs),
    /// Take the right to save from a computer; what it saved stays
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven device enrol --by-code --server https://keys.example.org\n\n\
    By a link or QR code: keyhaven device enrol --link --server https://keys.example.org\n\n\
    With --json, --by-code and --link report twice: first the codes or the link, then the enrolled device.")]
pub(crate) struct EnrolArgs {
    /// What to call this computer; its own name otherwise
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Show a code to be approved on a computer where you are signed in, instead of signing in here
    #[arg(long)]
    by_code: bool,
    /// Show a link and its QR code to be approved elsewhere: nothing is typed, and its secret cannot be guessed
    #[arg(long, conflicts_with = "by_code")]
    link: bool,
    /// Write the link to this new file instead of showing it
    #[arg(long, value_name = "FILE", requires = "link", value_hint = clap::ValueHint::FilePath)]
    link_out: Option<PathBuf>,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven device approve\n\n\
    With the link of `device enrol --link`: keyhaven device approve --link\n\n\
    The link is a secret until it is used: it is asked for, or read from a file, and never given as an argument.")]
pub(crate) struct ApproveArgs {
    /// File with the two codes that the other computer shows, one per line; asked for otherwise
    #[arg(long, value_name = "FILE")]
    device_codes_file: Option<PathBuf>,
    /// Ask for the link that the other computer shows, instead of two codes
    #[arg(long, conflicts_with = "device_codes_file")]
    link: bool,
    /// File with that link (`-`: standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["device_codes_file", "link"])]
    link_file: Option<PathBuf>,
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
#[command(after_help = "Example: keyhaven device rename \"old laptop\" \"kitchen laptop\"")]
pub(crate) struct RenameArgs {
    /// Name or identifier of the computer
    #[arg(value_name = "DEVICE")]
    device: String,
    /// The new name
    #[arg(value_name = "NAME")]
    name: String,
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
        DeviceCommand::Rename(arguments) => rename(arguments, json),
        DeviceCommand::Run(arguments) => run::run(arguments, json),
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
    } else if arguments.link {
        enrol_by_link(&client, &name, arguments.link_out.as_deref(), json)?
    } else {
        // Asked before the password: without a session it would be typed for nothing.
        client.account().map_err(|error| {
            let failure = explain(&error);
            let hint = failure.hint.clone().unwrap_or_default();
            failure.hint(format!("{hint}; or use --by-code or --link and approve it where you are signed in"))
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
    wait_for_approval(client, &enrolment)
}

fn enrol_by_link(client: &HttpClient, name: &str, file: Option<&Path>, json: bool) -> Outcome<DeviceId> {
    let enrolment = client.request_enrolment_by_link(name).map_err(|error| explain(&error))?;
    let link = enrolment.link().unwrap_or_else(|| "".into());
    if let Some(file) = file {
        let line = Zeroizing::new(format!("{}\n", link.expose()));
        crate::files::write_new_private(file, line.as_bytes())?;
        let document = json!({ "link_out": file.display().to_string(), "state": "pending" });
        let text = format!(
            "On a computer where you are signed in, run `keyhaven device approve --link-file FILE` with {}.\nThe link is \
             good for ten minutes. Waiting...\n",
            file.display()
        );
        output::report(json, &document, &text)?;
        return wait_for_approval(client, &enrolment);
    }
    let document = json!({ "link": link.expose(), "state": "pending" });
    let mut text = Zeroizing::new(String::with_capacity(8192));
    text.push_str("On a computer where you are signed in, run `keyhaven device approve --link` and paste\n\n  ");
    text.push_str(link.expose());
    text.push_str("\n\nor scan this:\n\n");
    if let Some(picture) = picture(link.expose()) {
        text.push_str(&picture);
    }
    text.push_str("\nShow it to nobody else. The link is good for ten minutes. Waiting...\n");
    output::report(json, &document, &text)?;
    wait_for_approval(client, &enrolment)
}

fn wait_for_approval(client: &HttpClient, enrolment: &DeviceEnrolment) -> Outcome<DeviceId> {
    loop {
        thread::sleep(Duration::from_secs(enrolment.interval_seconds().clamp(1, 30)));
        match client.poll_enrolment(enrolment) {
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
    if let Some(link) = link(arguments)? {
        let to = link.expose().split("/enrol#").next().unwrap_or_default().trim().to_owned();
        let here = client.state().server_address().map_err(|error| explain(&error))?.unwrap_or_default();
        if to != here {
            return Err(Failure::no("this link is to another account service than the one you are signed in to")
                .cause(format!("it is to {to}, and you are signed in to {here}"))
                .hint("enrol the other computer with the same --server"));
        }
        let mut person = arguments.person.person()?.at(&client);
        let approved = person.confirm(|presence| {
            let presence = Presence { password: presence.password.clone(), code: presence.code.clone() };
            client.approve_link(&LinkApproval { link: link.clone(), presence })
        })?;
        return tell_approved(&approved, json);
    }
    let (user_code, check_code) = device_codes(arguments)?;
    let mut person = arguments.person.person()?.at(&client);
    let approved = person.confirm(|presence| {
        client.approve_device(&OwnerApproval {
            user_code: user_code.clone(),
            check_code: check_code.clone(),
            presence: Presence { password: presence.password.clone(), code: presence.code.clone() },
        })
    })?;
    tell_approved(&approved, json)
}

/// The link of another computer, where one is to be used.
fn link(arguments: &ApproveArgs) -> Outcome<Option<SecretString>> {
    let link = match &arguments.link_file {
        Some(path) => secrets::password_from(path)?,
        None if arguments.link => prompt::secret("link that the other computer shows")
            .map_err(|failure| failure.hint("or read it from a file: --link-file FILE"))?,
        None => return Ok(None),
    };
    if !link.expose().contains("/enrol#") {
        return Err(Failure::no("this is not the link of a computer that waits to be approved")
            .hint("it has the form https://keys.example.org/enrol#CODE.SECRET; copy all of it"));
    }
    Ok(Some(link))
}

fn tell_approved(approved: &Approved, json: bool) -> Outcome {
    let Approved { device_id, name } = approved;
    let document = json!({ "device": device_id.to_string(), "name": name, "state": "active" });
    let text = format!("The other computer, \"{}\", may save recovery keys to your account now.\n", shown(name));
    output::report(json, &document, &text)
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
    let devices = arguments.account.open()?.devices_with_gaps().map_err(|error| explain(&error))?;
    let document = json!({ "devices": devices.iter().map(|device| json!({
        "id": device.device_id.to_string(), "name": device.name, "enrolled_as": device.enrolled_name,
        "state": device.state, "saves": device.last_seq, "capability": device.capability,
        "enrolled": time(device.issued_at), "seen": device.seen_at.map(time), "revoked": device.revoked_at.map(time),
        "missing_saves": device.gaps, "open_orders": device.open_orders, "verified": device.verified,
        "before_new_start": device.former, "this_computer": device.this_computer,
    })).collect::<Vec<_>>() });
    let text = match devices.as_slice() {
        [] => "No computer may save keys yet; `keyhaven device enrol` lets this one.\n".to_owned(),
        devices => devices.iter().map(line).collect(),
    };
    output::report(json, &document, &text)
}

fn line(device: &DeviceSummary) -> String {
    let mut line = format!("{}  {}", shown(&device.name), shown(&device.state));
    if device.this_computer {
        line.push_str("  (this computer)");
    }
    if device.name != device.enrolled_name {
        line.push_str(&format!("  (enrolled as \"{}\")", shown(&device.enrolled_name)));
    }
    if !device.verified {
        line.push_str("  WARNING: its certificate is not signed by your account");
    }
    if device.former && device.state == "active" {
        line.push_str("  (enrolled before the account's new start: enrol it again, so that what it saves can be read)");
    }
    let seen = device.seen_at.map_or_else(|| "never".to_owned(), time);
    let may = if device.state != "active" {
        "may do nothing any more"
    } else if device.capability == "records.append" {
        "may add keys, and read none"
    } else {
        "may do what is not known to this version"
    };
    let mut text = format!(
        "{line}\n  enrolled {}, last seen {seen}, {} saves\n  {may}\n",
        time(device.issued_at),
        device.last_seq
    );
    if let Some(revoked) = device.revoked_at {
        text.push_str(&format!("  revoked {}\n", time(revoked)));
    }
    if device.open_orders > 0 {
        let keys = if device.open_orders == 1 {
            "1 key waits".to_owned()
        } else {
            format!("{} keys wait", device.open_orders)
        };
        text.push_str(&format!("  {keys} to be replaced by it: `keyhaven device run` there does it\n"));
    }
    match device.gaps.as_deref() {
        None | Some([]) => {}
        Some(gaps) => {
            let listed: Vec<String> = gaps.iter().take(10).map(u64::to_string).collect();
            let more = if gaps.len() > 10 { ", ..." } else { "" };
            text.push_str(&format!(
                "  WARNING: saves are missing, number {}{more}: they are neither listed nor deleted by you\n",
                listed.join(", ")
            ));
        }
    }
    text.push_str(&format!("  {}\n", device.device_id));
    text
}

/// The one device that is meant, by its present name, the name it was enrolled under, or its identifier.
fn choose<'a>(
    devices: &'a [DeviceSummary],
    wanted: &str,
    fits: impl Fn(&DeviceSummary) -> bool,
) -> Outcome<&'a DeviceSummary> {
    let is_wanted = |device: &&DeviceSummary| {
        let names = [&device.name, &device.enrolled_name];
        fits(device) && (names.iter().any(|name| *name == wanted) || device.device_id.to_string() == wanted)
    };
    let found: Vec<&DeviceSummary> = devices.iter().filter(is_wanted).collect();
    match found.as_slice() {
        [device] => Ok(device),
        [] => Err(Failure::no(format!("the account has no active device {wanted:?}"))
            .hint("`keyhaven device list` lists them")),
        _ => Err(Failure::no(format!("several devices are called {wanted:?}")).hint("use its identifier")),
    }
}

fn rename(arguments: &RenameArgs, json: bool) -> Outcome {
    let name = arguments.name.trim();
    if !(1..=64).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(Failure::no("a computer cannot be called this").hint("a name has 1 to 64 characters, on one line"));
    }
    let client = arguments.account.open()?;
    let devices = client.devices().map_err(|error| explain(&error))?;
    let device = choose(&devices, &arguments.device, |_| true)?;
    if devices.iter().any(|other| other.device_id != device.device_id && other.state == "active" && other.name == name)
    {
        return Err(Failure::no(format!("another computer is called {name:?}")).hint("choose another name"));
    }
    client.rename_device(device.device_id, name).map_err(|error| explain(&error))?;
    let document = json!({ "device": device.device_id.to_string(), "name": name, "enrolled_as": device.enrolled_name });
    output::report(json, &document, &format!("\"{}\" is called \"{name}\" now.\n", shown(&device.name)))
}

fn revoke(arguments: &RevokeArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let devices = client.devices().map_err(|error| explain(&error))?;
    let wanted = arguments.device.as_str();
    let device = choose(&devices, wanted, |device| device.state == "active")?.device_id;
    let mut person = arguments.person.person()?.at(&client);
    person.confirm(|presence| client.revoke_device(device, presence))?;
    let document = json!({ "device": device.to_string(), "state": "revoked" });
    output::report(json, &document, &format!("\"{wanted}\" saves no more. What it saved stays in the account.\n"))
}
