//! Entries inside entries: taking them out and putting others in, with everything before them kept byte for byte.

use crate::entry::{encode_entries, value_type};
use crate::{Error, MetadataEntry, Structure, parse_entries};

impl MetadataEntry {
    /// The entries nested in this one; none where its value type has none.
    ///
    /// # Errors
    /// [`Error`] when the data ends too early or a nested entry does not fit.
    pub fn nested(&self) -> Result<Vec<Self>, Error> {
        match fixed_bytes(self.value_type) {
            Some(fixed) => parse_entries(self.fixed_part(fixed)?.1, fixed),
            None => Ok(Vec::new()),
        }
    }

    /// The same entry with other entries nested in it; one whose value type has none stays as it is.
    ///
    /// # Errors
    /// As [`Self::nested`]; [`Error::TooLarge`] when the nested entries do not fit.
    pub fn with_nested(&self, entries: &[Self]) -> Result<Self, Error> {
        let Some(fixed) = fixed_bytes(self.value_type) else { return Ok(self.clone()) };
        let mut changed = self.clone();
        let mut data = self.fixed_part(fixed)?.0.to_vec();
        encode_entries(entries, &mut data)?;
        changed.data = data.into();
        Ok(changed)
    }

    fn fixed_part(&self, fixed: usize) -> Result<(&[u8], &[u8]), Error> {
        self.data.split_at_checked(fixed).ok_or(Error::Truncated {
            structure: Structure::Entry,
            position: 0,
            needed: fixed,
            available: self.data.len(),
        })
    }
}

/// Bytes before the nested entries.
fn fixed_bytes(value_type: u16) -> Option<usize> {
    Some(match value_type {
        value_type::STRETCH_KEY => 20,
        value_type::USE_KEY => 4,
        value_type::VMK => 28,
        value_type::EXTERNAL_KEY => 24,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entry_type, key_type};

    #[test]
    fn what_is_put_in_is_taken_out_and_the_rest_is_kept() {
        let inner = MetadataEntry::key(entry_type::PROPERTY, key_type::CLEAR_KEY, &[1; 32]);
        let mut outer = MetadataEntry::stretch_key(key_type::PASSWORD, &[7; 16], std::slice::from_ref(&inner)).unwrap();
        outer.data[2] = 0x10;
        outer.flags = 3;
        assert_eq!(outer.nested().unwrap(), std::slice::from_ref(&inner));
        let changed = outer.with_nested(&[inner.clone(), inner.clone()]).unwrap();
        assert_eq!(changed.nested().unwrap().len(), 2);
        assert_eq!((&changed.data[..20], changed.flags), (&outer.data[..20], 3));
        assert_eq!(outer.with_nested(&outer.nested().unwrap()).unwrap(), outer);
        let text = MetadataEntry::unicode(entry_type::PROPERTY, "x");
        assert_eq!((text.nested().unwrap(), text.with_nested(&[inner]).unwrap()), (vec![], text.clone()));
    }

    #[test]
    fn data_that_ends_too_early_is_an_error() {
        for (value_type, fixed) in [(0x03, 20), (0x04, 4), (0x08, 28), (0x09, 24)] {
            for length in 0..fixed {
                let entry = MetadataEntry::stored(0, value_type, vec![0; length]);
                assert!(entry.nested().is_err() && entry.with_nested(&[]).is_err());
            }
            assert_eq!(MetadataEntry::stored(0, value_type, vec![0; fixed]).nested().unwrap(), []);
        }
    }
}
