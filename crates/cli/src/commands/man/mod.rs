//! `keyhaven man`: a manual page for each command, of the texts that `--help` shows.

mod page;

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory, ValueHint};
use serde_json::json;

use super::listed::not_written;
use crate::args::Arguments;
use crate::failure::{Failure, Outcome};
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven man --output /usr/local/share/man/man1\n\n\
    `keyhaven man keys show | man -l -` shows one page without installing it.")]
pub(crate) struct ManArgs {
    /// The command whose page is written to standard output, for instance `keys show`; without any: that of the program
    #[arg(value_name = "COMMAND", value_hint = ValueHint::Other)]
    path: Vec<String>,
    /// Write the pages of all commands into this folder, in place of those of another version
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath, conflicts_with = "path")]
    output: Option<PathBuf>,
}

pub(crate) fn run(arguments: &ManArgs, json: bool) -> Outcome {
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    if let Some(folder) = &arguments.output {
        return write_all(&program, folder, json);
    }
    let command = arguments.path.iter().try_fold(&program, |command, word| command.find_subcommand(word));
    let command = command.ok_or_else(|| {
        Failure::could_not(format!("there is no command `keyhaven {}`", arguments.path.join(" ")))
            .hint("`keyhaven --help` lists the commands")
    })?;
    let mut out = stdout().lock();
    let text = page::of(command, above(&program, &arguments.path).as_ref());
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| not_written(&error))
}

/// Name of the page above that of a command.
fn above(program: &Command, path: &[String]) -> Option<String> {
    let (_, above) = path.split_last()?;
    let command = above.iter().try_fold(program, |command, word| command.find_subcommand(word))?;
    Some(page::name(command))
}

fn write_all(program: &Command, folder: &Path, json: bool) -> Outcome {
    let failed = |path: &Path, error: &std::io::Error| Failure::writing(&path.display().to_string(), error);
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let mut waiting = vec![(program, None)];
    let mut written = Vec::new();
    while let Some((command, above)) = waiting.pop() {
        let name = page::name(command);
        let file = format!("{name}.1");
        let path = folder.join(&file);
        std::fs::write(&path, page::of(command, above.as_ref())).map_err(|error| failed(&path, &error))?;
        written.push(file);
        waiting.extend(page::below(command).map(|below| (below, Some(name.clone()))));
    }
    written.sort();
    let text = format!("{} pages written to {}.\n", written.len(), folder.display());
    output::report(json, &json!({ "folder": folder.display().to_string(), "pages": written }), &text)
}
