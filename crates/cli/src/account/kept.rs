//! Files with secrets that count only once the service has agreed: an emergency kit, backup codes.

use std::path::Path;

use vault_client::Error;
use zeroize::Zeroizing;

use crate::failure::Outcome;
use crate::files;

/// A file that is asked for, and whether this run wrote it.
pub(crate) struct KeptFile<'a> {
    file: Option<&'a Path>,
    written: bool,
}

impl<'a> KeptFile<'a> {
    /// Not written so far.
    pub(crate) fn new(file: Option<&'a Path>) -> Self {
        Self { file, written: false }
    }

    /// Calls `keep` with the file; when it gave an answer, the file is of this run.
    pub(crate) fn keep(&mut self, keep: impl FnOnce(Option<&Path>) -> Outcome<bool>) -> Outcome<bool> {
        let kept = keep(self.file)?;
        self.written = true;
        Ok(kept)
    }

    /// Whether something was shown or written that may count now, though `error` came back.
    pub(crate) fn may_count(&self, error: &Error) -> bool {
        self.written && may_have_happened(error)
    }

    /// What does not count would be taken for good. A file that is not of this run is left alone, and so is one whose
    /// content may count.
    pub(crate) fn discard(&self, error: &Error) {
        if let Some(file) = self.file.filter(|_| self.written && !may_have_happened(error)) {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Whether the last step of a change may have been made all the same: its answer was lost, or came to a computer that
/// could not note it.
pub(crate) fn may_have_happened(error: &Error) -> bool {
    match error {
        Error::KitNotConfirmed | Error::Cancelled => false,
        Error::Problem(problem) => problem.status >= 500,
        _ => true,
    }
}

/// Writes a new private file and reads it back: what is not there when it is needed was never kept.
pub(super) fn write_and_read_back(file: &Path, text: &str) -> Outcome<bool> {
    files::write_new_private(file, text.as_bytes())?;
    Ok(std::fs::read(file).map(Zeroizing::new).is_ok_and(|bytes| bytes.as_slice() == text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_run_wrote_and_what_cannot_count_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kit.txt");
        let lost = Error::Answer("nothing");
        std::fs::write(&file, "of another run").unwrap();
        KeptFile::new(Some(&file)).discard(&Error::Cancelled);
        assert!(file.exists(), "not written by this run");
        let mut refused = KeptFile::new(Some(&file));
        assert!(refused.keep(|file| write_and_read_back(file.unwrap(), "new")).is_err(), "never overwritten");
        refused.discard(&Error::Cancelled);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "of another run");
        std::fs::remove_file(&file).unwrap();

        let mut kept = KeptFile::new(Some(&file));
        assert!(!kept.may_count(&lost));
        assert!(kept.keep(|file| write_and_read_back(file.unwrap(), "new")).unwrap());
        assert!(kept.may_count(&lost) && !kept.may_count(&Error::Cancelled));
        kept.discard(&lost);
        assert!(file.exists(), "it may be the good one");
        kept.discard(&Error::KitNotConfirmed);
        assert!(!file.exists());
    }
}
