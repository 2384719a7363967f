//! `keyhaven cp`: files and folders of a drive, copied to this computer.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::files::{self, shown};
use crate::copy::{self, Options, Refusal, Report};
use crate::drive::{DriveArgs, UnlockArgs};
use crate::failure::{Failure, Outcome};
use crate::output;

#[derive(Debug, Args)]
#[command(
    after_help = "Example: keyhaven cp usb-stick.img Documents rescued --password-file password.txt",
    after_long_help = "\
Folders are copied with everything in them, and dates are kept. A file has the ending .keyhaven-partial until it is whole
and safely on the disk. Whenever a copy ends early (a full disk, Ctrl-C, a power cut), the same command with --resume goes
on. What cannot be copied stops nothing else: it is named at the end, and the exit status is 1.

Links are not followed and not copied; they are named. Alternate streams are copied when they are asked for as file:stream.
Names that the target cannot have are changed (a:b becomes a%3Ab) and told.

Example: keyhaven cp usb-stick.img Documents rescued --password-file password.txt"
)]
pub(crate) struct CpArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Files and folders on the drive, then where they go on this computer; existing files are never overwritten
    #[arg(num_args = 2.., required = true, value_names = ["PATH", "DEST"])]
    paths: Vec<PathBuf>,
    /// Go on with an earlier copy: pass over files that are there, complete unfinished ones
    #[arg(long)]
    resume: bool,
    /// Read every file again afterwards, from the drive and from the target, and compare
    #[arg(long)]
    verify: bool,
    /// Begin even when the target seems too small, as for file systems that compress
    #[arg(long)]
    no_space_check: bool,
    #[command(flatten)]
    unlock: UnlockArgs,
}

pub(crate) fn run(arguments: &CpArgs, json: bool) -> Outcome {
    let Some((target, sources)) = arguments.paths.split_last() else {
        return Err(Failure::could_not("cp needs a path on the drive and a place to copy to"));
    };
    let text = |path: &PathBuf| path.to_str().map(str::to_owned);
    let sources: Option<Vec<String>> = sources.iter().map(text).collect();
    let sources = sources.ok_or_else(|| Failure::could_not("a path on the drive is not valid text"))?;
    let drive = files::open(&arguments.drive.drive, &arguments.unlock)?;
    let options =
        Options { resume: arguments.resume, verify: arguments.verify, check_space: !arguments.no_space_check };
    let report = copy::copy(&drive, &sources, target, options).map_err(|refusal| explain(&refusal))?;
    output::report(json, &document(&report), &summary(&report))?;
    tell(&report)
}

fn explain(refusal: &Refusal) -> Failure {
    match refusal {
        Refusal::NotAFolder(path) => Failure::could_not(format!("{} is not a folder", path.display()))
            .hint("several files go into a folder that exists; a new name is made in one"),
        Refusal::Source { path, error } => files::explain(error, &shown(path)),
        Refusal::NoSpace { needed_bytes, free_bytes } => Failure::could_not("there is not enough room for the copy")
            .cause(format!("the files have {}, the target has {} left", size(*needed_bytes), size(*free_bytes)))
            .hint("free some space or choose another place; --no-space-check begins all the same"),
    }
}

fn size(bytes: u64) -> String {
    output::size(bytes)
}

/// A number of things, in words.
fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

fn bytes_per_second(report: &Report) -> u64 {
    let nanos = report.time.as_nanos().max(1);
    u64::try_from(u128::from(report.bytes) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

fn document(report: &Report) -> Value {
    json!({
        "files": report.files,
        "bytes": report.bytes,
        "passed_over": report.passed_over,
        "hard_links": report.hard_links,
        "verified": report.verified,
        "links": report.links.iter().map(|link| json!({ "path": link.path, "target": link.target }))
            .collect::<Vec<_>>(),
        "renamed": report.renamed.iter().map(|renamed| json!({ "path": renamed.path, "name": renamed.name }))
            .collect::<Vec<_>>(),
        "streams_not_copied": report.stream_count,
        "undated": report.undated,
        "problems": report.problems.iter().map(|problem| json!({ "path": problem.path, "reason": problem.reason }))
            .collect::<Vec<_>>(),
        "unfinished": report.partials.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        "left": { "files": report.left_files, "bytes": report.left_bytes },
        "seconds": report.time.as_secs_f64(),
        "bytes_per_second": bytes_per_second(report),
    })
}

fn summary(report: &Report) -> String {
    let seconds = report.time.as_secs_f64();
    let speed = size(bytes_per_second(report));
    let files = count(report.files, "file");
    let mut text = format!("{files}, {} copied in {seconds:.1} s ({speed}/s).\n", size(report.bytes));
    if report.hard_links > 0 {
        text += &format!("{} of files that have several.\n", count(report.hard_links, "further name"));
    }
    if report.passed_over > 0 {
        text += &format!("{} passed over: already there.\n", count(report.passed_over, "file"));
    }
    if let Some(verified) = report.verified {
        text += &format!("{} verified: the same as on the drive.\n", count(verified, "file"));
    }
    text
}

/// What a person should know, and the failure that it amounts to.
fn tell(report: &Report) -> Outcome {
    for renamed in &report.renamed {
        output::note(&format!("renamed: {} is now {}", shown(&renamed.path), shown(&renamed.name)));
    }
    for link in &report.links {
        let target = link.target.as_ref().map(|target| format!(" -> {}", shown(target))).unwrap_or_default();
        output::note(&format!("not copied, a link or the like: {}{target}", shown(&link.path)));
    }
    if let Some(first) = report.streams.first() {
        let streams = count(report.stream_count, "alternate stream");
        output::note(&format!("{streams} not copied; each can be copied by its name, such as {}", shown(first)));
    }
    if report.undated > 0 {
        let files = count(report.undated, "file or folder");
        output::note(&format!("warning: {files} did not get their dates: the target does not take them"));
    }
    for problem in &report.problems {
        output::note(&format!("warning: {}: {}", shown(&problem.path), shown(&problem.reason)));
    }
    for partial in report.partials.iter().filter(|_| report.stop.is_some()) {
        output::note(&format!("unfinished: {}", shown(&partial.display().to_string())));
    }
    if let Some(stop) = &report.stop {
        let left = format!("{}, {} are still to be copied", count(report.left_files, "file"), size(report.left_bytes));
        return Err(Failure::could_not(format!("cannot write {}; {left}", shown(&stop.what)))
            .because(&stop.error)
            .hint("when there is room again, the same command with --resume goes on"));
    }
    let failure = match report.problems.len() {
        0 => return Ok(()),
        1 => Failure::no("one thing could not be copied; it is named above"),
        number => Failure::no(format!("{number} things could not be copied; they are named above")),
    };
    let resumes = !report.partials.is_empty();
    Err(if resumes { failure.hint("--resume goes on with files that are unfinished") } else { failure })
}
