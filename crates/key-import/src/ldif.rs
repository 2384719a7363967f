//! LDIF (RFC 2849) of directory entries with `msFVE-*` attributes: folded lines, base64, identifiers as 16 bytes.

use data_encoding::BASE64_NOPAD;
use fve_format::Guid;
use secret::RecoveryPassword;
use zeroize::Zeroizing;

use crate::pattern::guids;
use crate::row::{KeyId, Place, Refusal, Row, title};
use crate::{Error, MAX_ROWS};

const PASSWORD: &str = "msFVE-RecoveryPassword";
const IDENTIFIER: &str = "msFVE-RecoveryGuid";

/// The value of an attribute, or that it cannot be decoded.
type Value = Result<Zeroizing<Vec<u8>>, ()>;

/// What matters of an entry.
#[derive(Default)]
struct Entry {
    dn: String,
    name: String,
    created: String,
    password: Option<Value>,
    identifier: Option<Value>,
}

pub(crate) fn read(text: &str) -> Result<Vec<Row>, Error> {
    let (mut rows, mut entry, mut number) = (Vec::new(), Entry::default(), 0);
    // An empty line ends an entry; so does the end.
    for line in unfolded(text).chain([Zeroizing::new(String::new())]) {
        if !line.trim().is_empty() {
            entry.take(&line);
            continue;
        }
        let whole = std::mem::take(&mut entry);
        if whole.password.is_some() || whole.identifier.is_some() {
            number += 1;
            rows.push(whole.row(Place::Entry(number)));
        }
        if rows.len() > MAX_ROWS {
            return Err(Error::TooManyRows);
        }
    }
    Ok(rows)
}

/// Lines with their continuations, which begin with a space; comments are left out.
fn unfolded(text: &str) -> impl Iterator<Item = Zeroizing<String>> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        loop {
            let first = lines.next()?;
            let mut line = Zeroizing::new(String::with_capacity(first.len() + 128));
            line.push_str(first);
            while let Some(more) = lines.next_if(|next| next.starts_with(' ')) {
                line.push_str(more.get(1..).unwrap_or_default());
            }
            if !line.starts_with('#') {
                return Some(line);
            }
        }
    })
}

impl Entry {
    fn take(&mut self, line: &str) {
        let Some((name, rest)) = line.split_once(':') else { return };
        // Options such as `;binary` say how a value is encoded, not what it is.
        let name = name.split(';').next().unwrap_or_default().trim();
        let value: Value = match rest.strip_prefix(':') {
            Some(encoded) => decode(encoded.trim()),
            // A reference to another place is not followed.
            None if rest.starts_with('<') => Err(()),
            None => Ok(Zeroizing::new(rest.trim().as_bytes().to_vec())),
        };
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let text = |value: Value| value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        if is(PASSWORD) {
            self.password = Some(value);
        } else if is(IDENTIFIER) {
            self.identifier = Some(value);
        } else if is("dn") {
            self.dn = text(value);
        } else if is("cn") || is("name") {
            self.name = text(value);
        } else if is("whenCreated") {
            self.created = text(value);
        }
    }

    fn row(self, place: Place) -> Row {
        let mut row = match &self.password {
            Some(Ok(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Row::of_password(place, RecoveryPassword::parse(text)),
                Err(_) => Row::new(place, Err(Refusal::Encoding { attribute: PASSWORD })),
            },
            Some(Err(())) => Row::new(place, Err(Refusal::Encoding { attribute: PASSWORD })),
            None => Row::new(place, Err(Refusal::NoKey)),
        };
        match self.identifier.as_ref().map(|value| value.as_ref().map(|bytes| identifier(bytes))) {
            Some(Ok(Some(id))) => row.key_id = Some(id),
            // The name of the entry holds it, too.
            None => row.key_id = self.named(),
            Some(_) if row.key.is_ok() => row.key = Err(Refusal::Encoding { attribute: IDENTIFIER }),
            Some(_) => {}
        }
        row.computer = title(&computer(&self.dn).unwrap_or_default());
        let stamp = [&self.name, &self.dn].into_iter().find_map(|name| stamp(name));
        row.created = stamp.or(Some(self.created).filter(|text| !text.is_empty())).map(|text| title(&text));
        row
    }

    fn named(&self) -> Option<KeyId> {
        [&self.name, &self.dn].into_iter().find_map(|text| guids(text).first().map(|(_, guid)| KeyId::from(*guid)))
    }
}

fn decode(encoded: &str) -> Value {
    let encoded = encoded.trim_end_matches('=').as_bytes();
    let mut bytes = Zeroizing::new(vec![0; BASE64_NOPAD.decode_len(encoded.len()).map_err(drop)?]);
    let length = BASE64_NOPAD.decode_mut(encoded, &mut bytes).map_err(drop)?;
    bytes.truncate(length);
    Ok(bytes)
}

/// 16 bytes in the order of a disk, or text.
fn identifier(bytes: &[u8]) -> Option<KeyId> {
    match <[u8; 16]>::try_from(bytes) {
        Ok(bytes) => Some(Guid::from_bytes(bytes).into()),
        Err(_) => KeyId::parse(std::str::from_utf8(bytes).ok()?),
    }
}

/// The name of the object above: `CN=2026-01-31T10:22:33-00:00{…},CN=PC-01,OU=…`.
fn computer(dn: &str) -> Option<String> {
    let above = components(dn).into_iter().nth(1)?;
    above.split_once('=').map(|(_, name)| name.trim().to_owned())
}

/// Parts of a distinguished name; a backslash takes the meaning from the sign behind it.
fn components(dn: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut signs = dn.chars();
    while let Some(sign) = signs.next() {
        match (sign, parts.last_mut()) {
            (',', _) => parts.push(String::new()),
            ('\\', Some(part)) => part.extend(signs.next()),
            (_, Some(part)) => part.push(sign),
            _ => {}
        }
    }
    parts
}

/// What stands before the identifier in an entry's name: when the key was saved.
fn stamp(name: &str) -> Option<String> {
    let (before, _) = name.split_once('{')?;
    let text = before.rsplit('=').next().unwrap_or(before).trim().trim_end_matches('\\');
    let fits = text.len() >= 10 && text.starts_with(|first: char| first.is_ascii_digit());
    fits.then(|| text.to_owned())
}
