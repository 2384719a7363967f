//! The configuration file: flags in TOML.
//!
//! What stands in it counts as if it had been given as a flag, unless a flag or a variable of the environment says otherwise. So
//! every flag is a key, with the same values and the same checks.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use toml::de::{DeTable, DeValue};

use super::ServeArgs;
use crate::failure::{Failure, Outcome};

/// Flags that say what to do, not how: they have no keys.
pub(super) const ACTIONS: [&str; 5] = ["config", "init", "check", "json", "help"];

/// One key of the file.
struct Entry {
    key: String,
    values: Vec<String>,
    line: usize,
}

/// Arguments with the file worked in, and where each came from.
pub(super) struct Resolved {
    pub(super) arguments: ServeArgs,
    matches: ArgMatches,
    lines: HashMap<String, usize>,
}

/// Where a setting's value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Flag,
    Environment,
    /// With the line.
    File(usize),
    Default,
}

impl Resolved {
    /// The values of a setting as they were given; empty when it has none.
    pub(super) fn values(&self, id: &str) -> Vec<String> {
        let values = self.matches.get_raw(id).into_iter().flatten();
        values.map(|value| value.to_string_lossy().into_owned()).collect()
    }

    pub(super) fn source(&self, id: &str, key: &str) -> Source {
        match (self.lines.get(key), self.matches.value_source(id)) {
            (Some(line), _) => Source::File(*line),
            (None, Some(ValueSource::CommandLine)) => Source::Flag,
            (None, Some(ValueSource::EnvVariable)) => Source::Environment,
            (None, _) => Source::Default,
        }
    }
}

/// Works the file into the arguments of this process.
pub(super) fn resolve(file: Option<&Path>) -> Outcome<Resolved> {
    let line = std::env::args_os().collect();
    let Some(path) = file else { return parse(line, &[], Path::new("")) };
    let text = std::fs::read_to_string(path).map_err(|error| {
        let failure = Failure::could_not(format!("cannot read the configuration file {}", path.display()));
        failure.because(&error).hint("check the name (--config, KEYHAVEN_CONFIG) and who may read it")
    })?;
    let entries = entries(&text).map_err(|(at, cause)| refused(path, at, cause))?;
    parse(line, &entries, path)
}

fn parse(mut line: Vec<OsString>, entries: &[Entry], path: &Path) -> Outcome<Resolved> {
    let first = matches(&line).map_err(|error| {
        Failure::could_not("the arguments cannot be read").because(&crate::usage::without_secrets(error))
    })?;
    let command = serve_command();
    let mut lines = HashMap::new();
    for entry in entries {
        let known = command.get_arguments().find(|argument| argument.get_long() == Some(&entry.key));
        let known = known.filter(|argument| !ACTIONS.contains(&argument.get_id().as_str()));
        let Some(argument) = known else {
            let failure = refused(path, entry.line, format!("there is no setting `{}`", entry.key));
            return Err(failure.hint("`keyhaven serve --help` and docs/OPERATION.md list the settings"));
        };
        let given = first.value_source(argument.get_id().as_str());
        if matches!(given, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            continue;
        }
        // Settings of the running service mean nothing to the commands beside it.
        if first.subcommand().is_some() && !argument.is_global_set() {
            continue;
        }
        let mut with = line.clone();
        with.extend(entry.values.iter().map(|value| OsString::from(format!("--{}={value}", entry.key))));
        // One at a time: so the line is known, and the text of a value is not repeated.
        if matches(&with).is_err_and(|error| !is_between_settings(&error, entry)) {
            return Err(refused(path, entry.line, format!("this is not a value for `{}`", entry.key)));
        }
        line = with;
        lines.insert(entry.key.clone(), entry.line);
    }
    let unusable = |error: clap::Error| {
        let failure = Failure::could_not(format!("the settings in {} do not go together", path.display()));
        failure.cause(error.kind().to_string())
    };
    let matches = matches(&line).map_err(unusable)?;
    let arguments = ServeArgs::from_arg_matches(&matches).map_err(unusable)?;
    Ok(Resolved { arguments, matches, lines })
}

/// Whether an error is about settings that need or exclude each other: that is judged once all of them are there.
fn is_between_settings(error: &clap::Error, entry: &Entry) -> bool {
    match error.kind() {
        ErrorKind::MissingRequiredArgument => true,
        // With several values it may be about those.
        ErrorKind::ArgumentConflict => entry.values.len() == 1,
        _ => false,
    }
}

/// What `keyhaven serve` is given by a whole command line.
fn matches(line: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let mut all = crate::args::Arguments::command().try_get_matches_from(line)?;
    all.remove_subcommand().map(|(_, found)| found).ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))
}

/// The definition of `keyhaven serve`.
pub(super) fn serve_command() -> Command {
    let all = crate::args::Arguments::command();
    all.find_subcommand("serve").cloned().unwrap_or_default()
}

fn refused(path: &Path, line: usize, cause: String) -> Failure {
    Failure::could_not(format!("{}, line {line}, cannot be used", path.display())).cause(cause)
}

/// The keys of the file; an error has its line. No text of the file is repeated in an error: a password may stand there.
fn entries(text: &str) -> Result<Vec<Entry>, (usize, String)> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        (line_of(text, at), "it is not TOML".to_owned())
    })?;
    let mut entries = Vec::new();
    for (key, value) in table.get_ref() {
        let line = line_of(text, key.span().start);
        let key = key.get_ref().to_string();
        let values = values(value.get_ref()).ok_or_else(|| (line, format!("this is not a value for `{key}`")))?;
        entries.push(Entry { key, values, line });
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

/// Texts and whole numbers, alone or in a list.
fn values(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::Array(list) => list.iter().map(|value| single(value.get_ref())).collect(),
        value => Some(vec![single(value)?]),
    }
}

fn single(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        _ => None,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
