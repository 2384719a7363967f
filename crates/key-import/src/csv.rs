//! Tables: with a header whose columns are known or named by the caller, or without any.
//!
//! The reader writes into one buffer that is wiped; `csv-core` keeps none of its own.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use zeroize::Zeroizing;

use crate::pattern::{guids, passwords, short_ids};
use crate::row::{KeyId, Place, Refusal, Row, VolumeType, title};
use crate::{Error, MAX_ROWS};

/// Most fields of a row.
const MAX_FIELDS: usize = 256;
/// Signs that part the fields of a row.
pub(crate) const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// What a column can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The 48 digits.
    Key,
    /// The identifier.
    Id,
    /// The PC.
    Computer,
    /// Letter or mount point.
    Drive,
    /// Label of the drive.
    Label,
    /// When it was made or saved.
    Created,
    /// What kind of drive it is.
    Type,
}

impl Column {
    const ALL: [Self; 7] = [Self::Key, Self::Id, Self::Computer, Self::Drive, Self::Label, Self::Created, Self::Type];

    /// The name under which a caller maps it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Id => "id",
            Self::Computer => "computer",
            Self::Drive => "drive",
            Self::Label => "label",
            Self::Created => "created",
            Self::Type => "type",
        }
    }

    /// By that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    /// Headers of known exports, in lower case, letters and digits only. The first that is there counts.
    fn known(self) -> &'static [&'static str] {
        match self {
            Self::Key => &[
                "recoverypassword",
                "msfverecoverypassword",
                "recoverykey",
                "bitlockerrecoverykey",
                "bitlockerrecoverypassword",
                "bitlockerkey",
                "key",
                "wiederherstellungsschlüssel",
                "wiederherstellungskennwort",
                "clédrécupération",
                "clédérécupération",
                "clederecuperation",
                "motdepassederécupération",
                "clavederecuperación",
                "回復キー",
                "回復パスワード",
                "password",
            ],
            Self::Id => &[
                "keyprotectorid",
                "msfverecoveryguid",
                "recoveryguid",
                "recoverykeyid",
                "bitlockerkeyid",
                "recoverypasswordid",
                "keyid",
                "passwordid",
                "schlüsselid",
                "kennwortid",
                "iddeclé",
                "idclé",
                "キーid",
                "identifier",
                "protectorid",
                "guid",
                "id",
            ],
            Self::Computer => &[
                "computername",
                "devicename",
                "computer",
                "device",
                "hostname",
                "gerätename",
                "nomdelappareil",
                "nomdelordinateur",
                "デバイス名",
                "コンピューター名",
                "pscomputername",
                "host",
                "name",
            ],
            Self::Drive => &["mountpoint", "driveletter", "drive", "volume", "laufwerk", "lecteur", "ドライブ"],
            Self::Label => &["volumelabel", "drivelabel", "label"],
            Self::Created => {
                &["createddatetime", "whencreated", "created", "keyuploaddate", "backedup", "date", "datum", "uploaded"]
            }
            Self::Type => &["volumetype", "drivetype", "type"],
        }
    }
}

/// Names of columns, where the known ones do not fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns(Vec<(Column, String)>);

impl Columns {
    /// Says which column of the header holds what.
    pub fn set(&mut self, column: Column, name: impl Into<String>) {
        self.0.push((column, name.into()));
    }

    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Places of the columns in a row.
type Places = [Option<usize>; 7];

pub(crate) fn read(text: &str, columns: &Columns) -> Result<Vec<Row>, Error> {
    let mut table = Table::new(text);
    let mut places: Option<Places> = None;
    let mut rows = Vec::new();
    while let Some((line, fields)) = table.next_row()? {
        if fields.iter().all(|field| field.trim().is_empty()) || is_remark(line, &fields) {
            continue;
        }
        let Some(places) = &places else {
            let found = header(&fields, columns)?;
            let is_header = found.is_some();
            places = Some(found.unwrap_or_default());
            if !is_header {
                rows.extend(row(line, &fields, &Places::default()));
            }
            continue;
        };
        rows.extend(row(line, &fields, places));
        if rows.len() > MAX_ROWS {
            return Err(Error::TooManyRows);
        }
    }
    Ok(rows)
}

/// The line above the header that `Export-Csv` of older PowerShells writes, and what tells spreadsheets the delimiter.
fn is_remark(line: u64, fields: &[&str]) -> bool {
    line == 1 && fields.first().is_some_and(|field| field.starts_with("#TYPE") || field.starts_with("sep="))
}

/// The places of the columns in a header; `None` when the first row holds a key already.
fn header(fields: &[&str], columns: &Columns) -> Result<Option<Places>, Error> {
    if columns.is_empty() && fields.iter().any(|field| !passwords(field).is_empty()) {
        return Ok(None);
    }
    let mut places = Places::default();
    for (place, column) in places.iter_mut().zip(Column::ALL) {
        *place = column.known().iter().find_map(|known| fields.iter().position(|field| is_named(field, known)));
    }
    for (column, name) in &columns.0 {
        let wanted = name.trim();
        let exact = fields.iter().position(|field| field.trim() == wanted);
        let place = exact.or_else(|| fields.iter().position(|field| field.trim().eq_ignore_ascii_case(wanted)));
        let found = place.ok_or_else(|| Error::NoColumn { name: name.clone() })?;
        if let Some((place, _)) = places.iter_mut().zip(Column::ALL).find(|(_, known)| known == column) {
            *place = Some(found);
        }
    }
    Ok(Some(places))
}

/// Whether this line is the header of a table with keys.
pub(crate) fn is_header(line: &str, delimiter: char) -> bool {
    let names = || line.split(delimiter).take(MAX_FIELDS);
    names().nth(1).is_some() && Column::Key.known().iter().any(|known| names().any(|name| is_named(name, known)))
}

/// Whether the letters and digits of a field are this name. Makes no copy: the field may be a key.
fn is_named(field: &str, name: &str) -> bool {
    field.chars().filter(|found| found.is_alphanumeric()).flat_map(char::to_lowercase).eq(name.chars())
}

/// The key of a row; none where its key column is empty and nothing else looks like one.
fn row(line: u64, fields: &[&str], places: &Places) -> Option<Row> {
    let field = |column: Column| {
        let index = Column::ALL.iter().position(|known| *known == column)?;
        fields.get((*places.get(index)?)?).map(|field| field.trim()).filter(|field| !field.is_empty())
    };
    let in_column = field(Column::Key).map(|field| (field, passwords(field)));
    let sighting = match in_column {
        Some((_, mut found)) if !found.is_empty() => Some(found.swap_remove(0).password),
        // Whatever stands in the column of keys is judged as one.
        Some((text, _)) => Some(secret::RecoveryPassword::parse(text)),
        None if places.iter().all(Option::is_none) => {
            fields.iter().flat_map(|field| passwords(field)).next().map(|sighting| sighting.password)
        }
        None => None,
    };
    let id = field(Column::Id);
    let place = Place::Line(line);
    let mut row = match sighting {
        Some(password) => Row::of_password(place, password),
        None if id.is_some() => Row::new(place, Err(Refusal::NoKey)),
        None => return None,
    };
    row.key_id = match id {
        Some(text) => identifier(text),
        None => fields.iter().find_map(|field| guids(field).first().map(|(_, guid)| KeyId::from(*guid))),
    };
    if id.is_some() && row.key_id.is_none() && row.key.is_ok() {
        row.key = Err(Refusal::KeyId);
    }
    row.computer = field(Column::Computer).map(title).unwrap_or_default();
    row.drive = field(Column::Drive).map(title).unwrap_or_default();
    row.label = field(Column::Label).map(title).unwrap_or_default();
    row.created = field(Column::Created).map(title);
    row.volume_type = field(Column::Type).map(volume_type).unwrap_or_default();
    Some(row)
}

fn identifier(text: &str) -> Option<KeyId> {
    let whole = guids(text).first().map(|(_, guid)| KeyId::from(*guid));
    whole.or_else(|| KeyId::parse(text)).or_else(|| short_ids(text).first().and_then(|(_, id)| KeyId::parse(id)))
}

/// As tools and services name it.
pub(crate) fn volume_type(text: &str) -> VolumeType {
    let names: [(VolumeType, &[&str]); 3] = [
        (VolumeType::Os, &["operatingsystem", "operatingsystemvolume", "os", "osv"]),
        (VolumeType::Fixed, &["fixeddatavolume", "fixed", "fdv"]),
        (VolumeType::Removable, &["removabledatavolume", "removable", "rdv"]),
    ];
    let found = names.iter().find(|(_, names)| names.iter().any(|name| is_named(text, name)));
    found.map(|(kind, _)| *kind).unwrap_or_default()
}

/// Rows of a text.
struct Table<'a> {
    reader: Reader,
    rest: &'a [u8],
    /// Line on which `rest` begins, from 1.
    line: u64,
    fields: Zeroizing<Vec<u8>>,
    ends: Vec<usize>,
}

impl<'a> Table<'a> {
    fn new(text: &'a str) -> Self {
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#TYPE")).unwrap_or_default();
        let named = first.strip_prefix("sep=").and_then(|sign| sign.chars().next());
        let count = |delimiter: &char| first.matches(*delimiter).count();
        let delimiter = named.or_else(|| DELIMITERS.into_iter().rev().max_by_key(count)).unwrap_or(',');
        let reader = ReaderBuilder::new().delimiter(u8::try_from(delimiter).unwrap_or(b',')).build();
        // No row is longer than the rest of the text.
        let fields = Zeroizing::new(vec![0; text.len() + 1]);
        Self { reader, rest: text.as_bytes(), line: 1, fields, ends: vec![0; MAX_FIELDS] }
    }

    /// The next row and the line on which it begins.
    fn next_row(&mut self) -> Result<Option<(u64, Vec<&str>)>, Error> {
        let (mut written, mut ended) = (0, 0);
        while let [end @ (b'\r' | b'\n'), rest @ ..] = self.rest {
            self.line += u64::from(*end == b'\n');
            self.rest = rest;
        }
        let line = self.line;
        loop {
            let fields = self.fields.get_mut(written..).unwrap_or_default();
            let ends = self.ends.get_mut(ended..).unwrap_or_default();
            let (result, read, wrote, ends) = self.reader.read_record(self.rest, fields, ends);
            let (taken, rest) = self.rest.split_at(read.min(self.rest.len()));
            self.line += taken.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
            self.rest = rest;
            written += wrote;
            ended += ends;
            match result {
                // The input is whole: once more with nothing ends the last row.
                ReadRecordResult::InputEmpty if self.rest.is_empty() && read == 0 && wrote == 0 && ends == 0 => {
                    return Err(Error::Table { fields: MAX_FIELDS });
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(Error::Table { fields: MAX_FIELDS });
                }
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        let mut start = 0;
        let fields = self.ends.get(..ended).unwrap_or_default().iter().map(|end| {
            let field = self.fields.get(start..*end).unwrap_or_default();
            start = *end;
            std::str::from_utf8(field).unwrap_or_default()
        });
        Ok(Some((line, fields.collect())))
    }
}
