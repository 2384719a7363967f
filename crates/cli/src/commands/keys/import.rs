//! `keyhaven keys import`: keys that other tools and services wrote, into the account.
//!
//! Everything is read and judged before the first key is saved.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use key_import::{Column, Columns, Format, Key, KeyId, Options, Row};
use secret::SecretBytes;
use serde_json::{Value, json};
use vault_client::{Error, KeyToSave, KnownKeys, Meta, Outcome as Saving, Secret, StartupKeyToSave, ToSave};
use zeroize::Zeroizing;

use super::shown;
use crate::account::{AccountArgs, explain};
use crate::failure::{Failure, Outcome};
use crate::output;

#[derive(Debug, Args)]
#[command(
    after_help = "Example: keyhaven keys import \"BitLocker Recovery Key 5F2B0A11.TXT\" export.csv --dry-run\n\n\
    A file of another table: keyhaven keys import assets.csv --column key=secret --column id=protector\n\n\
    A startup key: keyhaven keys import 0ABCDEF0-1234-4000-8000-0123456789AB.BEK\n\n\
    Keys are never changed or replaced: one that the account has is left out. Exit status: 0 all keys are saved or were \
    there already, 1 some rows were refused, 2 it could not be done or keys still wait on this computer."
)]
pub(crate) struct ImportArgs {
    /// Files of any supported kind; `-`: standard input
    #[arg(required = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// What the files are; recognised by their content otherwise
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(Format::ALL.map(Format::name)))]
    format: Option<String>,
    /// Which column of a table holds what, such as `key=Secret`: key, id, computer, drive, label, created or type
    #[arg(long = "column", value_name = "WHAT=HEADER", value_parser = parse_column)]
    columns: Vec<(Column, String)>,
    /// Name of the computer, for keys whose export does not name it
    #[arg(long, value_name = "NAME")]
    computer: Option<String>,
    /// Say what would be saved, and save nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    account: AccountArgs,
}

fn parse_column(text: &str) -> Result<(Column, String), String> {
    let (what, header) = text.split_once('=').ok_or("expected WHAT=HEADER, such as key=Secret")?;
    let column = Column::parse(what.trim())
        .ok_or("only key, id, computer, drive, label, created and type can be assigned to a column")?;
    Ok((column, header.to_owned()))
}

/// A file that was read.
struct Source {
    name: String,
    format: Format,
    rows: Vec<Judged>,
}

/// A row, and what becomes of it.
struct Judged {
    row: Row,
    fate: Fate,
}

enum Fate {
    /// To be saved: place among the keys that are.
    Save(usize),
    Known,
    Refused(String),
}

pub(crate) fn run(arguments: &ImportArgs, json: bool) -> Outcome {
    if arguments.files.iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err(Failure::could_not("standard input can be read only once"));
    }
    let imports = arguments.files.iter().map(|path| read(path, arguments)).collect::<Outcome<Vec<_>>>()?;
    let client = arguments.account.client()?;
    let mut known = match client.known_keys() {
        Ok(known) => Some(known),
        Err(Error::NotSignedIn) if arguments.dry_run => {
            output::note("nobody is signed in: which keys the account has already is not known");
            None
        }
        Err(error) => return Err(explain(&error)),
    };
    if known.as_ref().is_some_and(|known| known.unreachable.is_some()) {
        output::note("warning: the account service cannot be reached: which keys it has already is not known");
    }
    let mut batch = Batch { keys: Vec::new(), seen: BTreeMap::new(), arguments };
    let sources: Vec<Source> = imports.into_iter().map(|import| batch.judge(import, known.as_mut())).collect();
    let outcomes = match &known {
        Some(known) if !arguments.dry_run && !batch.keys.is_empty() => {
            client.import(&batch.keys, known).map_err(|error| explain(&error))?
        }
        _ => Vec::new(),
    };
    tell(&sources, outcomes, arguments, json)
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn read(path: &Path, arguments: &ImportArgs) -> Outcome<(String, key_import::Import)> {
    let name = path.display().to_string();
    let bytes =
        read_bounded(path).map_err(|error| Failure::could_not(format!("cannot read {name}")).because(&error))?;
    let mut columns = Columns::default();
    for (column, header) in &arguments.columns {
        columns.set(*column, header.clone());
    }
    let file_name = path.file_name().filter(|_| !is_stdin(path)).map(|name| name.to_string_lossy().into_owned());
    let options = Options { format: arguments.format.as_deref().and_then(Format::parse), columns, file_name };
    let import = key_import::read(&bytes, &options).map_err(|error| {
        let failure = Failure::could_not(format!("cannot read the keys in {name}")).because(&error);
        match error {
            key_import::Error::NoColumn { .. } => failure.hint("compare --column with the first row of the table"),
            _ => failure.hint("name its format with --format, if it is another one"),
        }
    })?;
    Ok((name, import))
}

/// A whole file in a buffer that leaves no copies behind when it grows.
fn read_bounded(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut input: Box<dyn Read> =
        if is_stdin(path) { Box::new(io::stdin().lock()) } else { Box::new(std::fs::File::open(path)?) };
    let mut bytes = Zeroizing::new(vec![0; 64 * 1024]);
    let mut filled = 0;
    loop {
        let room = bytes.get_mut(filled..).unwrap_or_default();
        let read = match input.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        filled += read;
        // One byte too many is enough to tell that it is too large.
        if read == 0 || filled > key_import::MAX_BYTES {
            bytes.truncate(filled);
            return Ok(bytes);
        }
        if filled == bytes.len() {
            let mut larger = Zeroizing::new(vec![0; bytes.len() * 2]);
            larger[..filled].copy_from_slice(&bytes);
            bytes = larger;
        }
    }
}

/// The keys of one run.
struct Batch<'a> {
    keys: Vec<Box<dyn ToSave>>,
    /// Keys of this run by identifier: a second one may be the same, or contradict.
    seen: BTreeMap<KeyId, (Secret, String)>,
    arguments: &'a ImportArgs,
}

impl Batch<'_> {
    fn judge(&mut self, (name, import): (String, key_import::Import), mut known: Option<&mut KnownKeys>) -> Source {
        let format = import.format;
        let alone = import.rows.len() == 1;
        let judged = import.rows.into_iter().map(|row| {
            let fate = self.fate(&row, (&name, format, alone), known.as_deref_mut());
            Judged { row, fate }
        });
        let rows = judged.collect();
        Source { name, format, rows }
    }

    fn fate(&mut self, row: &Row, about: (&str, Format, bool), known: Option<&mut KnownKeys>) -> Fate {
        let secret = match &row.key {
            Ok(Key::RecoveryPassword(password)) => Secret::RecoveryPassword(password.clone()),
            Ok(Key::ExternalKey(key)) => Secret::ExternalKey(same(key)),
            Err(refusal) => return Fate::Refused(refusal.to_string()),
        };
        let Some(key_id) = &row.key_id else {
            return Fate::Refused("no key ID stands by it, and without one it could not be found again".into());
        };
        if let Some((same, place)) = self.seen.get(key_id) {
            return if is_same(same, &secret) {
                Fate::Known
            } else {
                Fate::Refused(format!("another key with the same key ID stands in {place}"))
            };
        }
        let meta = self.meta(row, key_id, about);
        let key: Box<dyn ToSave> = match &secret {
            Secret::RecoveryPassword(password) => Box::new(KeyToSave { password: password.clone(), meta }),
            Secret::ExternalKey(key) => Box::new(StartupKeyToSave { key: same(key), meta }),
        };
        self.seen.insert(key_id.clone(), (secret, format!("{}, {}", about.0, row.place)));
        if let Some(known) = known {
            if known.has(key_id.text()) {
                return Fate::Known;
            }
            known.note(key_id.text());
        }
        self.keys.push(key);
        Fate::Save(self.keys.len() - 1)
    }

    fn meta(&self, row: &Row, key_id: &KeyId, (name, format, alone): (&str, Format, bool)) -> Meta {
        let file = Path::new(name).file_name().filter(|_| alone).map(|name| name.to_string_lossy().into_owned());
        let or = |text: &String, other: Option<String>| {
            if text.is_empty() { other.unwrap_or_default() } else { text.clone() }
        };
        Meta {
            key_id: key_id.text().to_owned(),
            volume_type: row.volume_type.name().to_owned(),
            mount: or(&row.drive, file),
            label: row.label.clone(),
            computer: or(&row.computer, self.arguments.computer.clone()),
            os: std::env::consts::OS.to_owned(),
            method: row.method.clone(),
            protector_created: row.created.clone(),
            source: format!("import:{}", format.name()),
            client: concat!("keyhaven/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Another copy, which is wiped like the first.
fn same(key: &SecretBytes<32>) -> SecretBytes<32> {
    SecretBytes::from_fn(|out| out.copy_from_slice(key.expose()))
}

fn is_same(first: &Secret, second: &Secret) -> bool {
    match (first, second) {
        (Secret::RecoveryPassword(first), Secret::RecoveryPassword(second)) => first == second,
        (Secret::ExternalKey(first), Secret::ExternalKey(second)) => first == second,
        _ => false,
    }
}

/// How many rows came to which end.
#[derive(Default)]
struct Counts {
    saved: usize,
    waiting: usize,
    known: usize,
    refused: usize,
    would_save: usize,
}

fn tell(sources: &[Source], outcomes: Vec<Saving>, arguments: &ImportArgs, json: bool) -> Outcome {
    let mut outcomes: Vec<Option<Saving>> = outcomes.into_iter().map(Some).collect();
    let (mut counts, mut text, mut files) = (Counts::default(), String::new(), Vec::new());
    let mut why_waiting = None;
    for source in sources {
        text.push_str(&format!("{} ({})\n", source.name, source.format.name()));
        let mut rows = Vec::new();
        for Judged { row, fate } in &source.rows {
            let outcome =
                if let Fate::Save(index) = fate { outcomes.get_mut(*index).and_then(Option::take) } else { None };
            let (mut document, words) = end(fate, outcome.as_ref(), &mut counts);
            document["place"] = json!(row.place.to_string());
            document["key_id"] = json!(row.key_id.as_ref().map(KeyId::text));
            document["computer"] = json!(row.computer);
            let key_id = row.key_id.as_ref().map_or("--------", KeyId::start);
            let computer = if row.computer.is_empty() { String::new() } else { format!("  {}", shown(&row.computer)) };
            text.push_str(&format!("  {}: {key_id}{computer}  {words}\n", row.place));
            rows.push(document);
            if let Some(Saving::Waiting { why, .. }) = outcome {
                why_waiting = Some(why);
            }
        }
        if source.rows.is_empty() {
            text.push_str("  nothing in it looks like a recovery key\n");
        }
        files.push(json!({ "file": source.name, "format": source.format.name(), "rows": rows }));
    }
    text.push_str(&summary(&counts, sources));
    let document = json!({
        "dry_run": arguments.dry_run, "files": files,
        "saved": counts.saved, "waiting": counts.waiting, "already_there": counts.known, "refused": counts.refused,
        "would_save": counts.would_save,
    });
    output::report(json, &document, &text)?;
    if let Some(why) = why_waiting {
        return Err(crate::commands::backup::not_yet_saved(&why, counts.waiting));
    }
    let empty = sources.iter().find(|source| source.rows.is_empty());
    match (counts.refused, empty) {
        (0, None) => Ok(()),
        (0, Some(source)) => Err(Failure::no(format!("nothing in {} looks like a recovery key", source.name))
            .hint("if it holds keys, name its format with --format, or its columns with --column")),
        (count, _) => {
            Err(Failure::no(format!("{count} of the rows {} refused", if count == 1 { "was" } else { "were" }))
                .hint("the report above says why; correct those rows and import the file again"))
        }
    }
}

/// Report and words for the end of a row.
fn end(fate: &Fate, outcome: Option<&Saving>, counts: &mut Counts) -> (Value, String) {
    match (fate, outcome) {
        (Fate::Refused(why), _) => {
            counts.refused += 1;
            (json!({ "result": "refused", "why": why }), format!("refused: {why}"))
        }
        (Fate::Known, _) => {
            counts.known += 1;
            (json!({ "result": "already_there" }), "already there".to_owned())
        }
        (Fate::Save(_), Some(Saving::Saved { record_id, audit_seq })) => {
            counts.saved += 1;
            let document = json!({
                "result": "saved", "record": record_id.to_string(), "audit_seq": audit_seq, "receipt_verified": true,
            });
            (document, format!("saved, receipt verified (audit entry {audit_seq})"))
        }
        (Fate::Save(_), Some(Saving::Waiting { record_id, why })) => {
            counts.waiting += 1;
            let code = why.code().map(|code| code.code());
            let document =
                json!({ "result": "waiting", "record": record_id.to_string(), "why": why.to_string(), "code": code });
            (document, format!("sealed, waits on this computer: {why}"))
        }
        (Fate::Save(_), None) => {
            counts.would_save += 1;
            (json!({ "result": "would_save" }), "would be saved".to_owned())
        }
    }
}

fn summary(counts: &Counts, sources: &[Source]) -> String {
    let parts = [
        (counts.saved, "saved"),
        (counts.would_save, "would be saved"),
        (counts.waiting, "waiting on this computer"),
        (counts.known, "already there"),
        (counts.refused, "refused"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let mut text = if told.is_empty() { "No keys.\n".to_owned() } else { format!("{}.\n", told.join(", ")) };
    let done = counts.saved + counts.known > 0 && counts.waiting + counts.refused + counts.would_save == 0;
    if done && sources.iter().any(|source| source.name != "-") {
        text.push_str("The imported files still hold these keys in the open: delete those that nobody needs.\n");
    }
    text
}
