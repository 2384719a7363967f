//! The drives that a computer looks after, and what opens each of them.

use std::path::{Path, PathBuf};

use super::run::RunArgs;
use crate::account::AccountArgs;
use crate::commands::drives;
use crate::failure::{Failure, Outcome};
use crate::secrets::SecretArgs;

/// What opens a drive when nobody is there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Opener {
    Nothing,
    PasswordFile(PathBuf),
    StartupKey(PathBuf),
}

/// A drive to look after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Watched {
    pub(super) path: PathBuf,
    opener: Opener,
}

impl Watched {
    /// Whether something is named that opens it.
    pub(super) fn has_key(&self) -> bool {
        self.opener != Opener::Nothing
    }

    pub(super) fn secrets(&self, account: &AccountArgs) -> SecretArgs {
        let (password_file, startup_key) = match &self.opener {
            Opener::Nothing => (None, None),
            Opener::PasswordFile(file) => (Some(file.clone()), None),
            Opener::StartupKey(file) => (None, Some(file.clone())),
        };
        SecretArgs::unattended(password_file, startup_key, account.clone())
    }
}

/// All of them, each once.
pub(super) fn watched(arguments: &RunArgs) -> Outcome<Vec<Watched>> {
    let opener = match (&arguments.password_file, &arguments.startup_key) {
        (Some(file), _) => Opener::PasswordFile(file.clone()),
        (None, Some(file)) => Opener::StartupKey(file.clone()),
        (None, None) => Opener::Nothing,
    };
    let mut all: Vec<Watched> =
        arguments.drives.iter().map(|path| Watched { path: path.clone(), opener: opener.clone() }).collect();
    if let Some(file) = &arguments.drives_file {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::could_not(format!("cannot read {}", file.display())).because(&error))?;
        all.extend(parse(file, &text)?);
    }
    if arguments.all_drives {
        all.extend(drives::found_on_host()?.into_iter().map(|path| Watched { path, opener: Opener::Nothing }));
    }
    Ok(each_once(all))
}

/// One entry for each drive, whatever names lead to it; of several the one that has something to open it with.
fn each_once(all: Vec<Watched>) -> Vec<Watched> {
    let place = |watched: &Watched| watched.path.canonicalize().unwrap_or_else(|_| watched.path.clone());
    let mut once: Vec<(PathBuf, Watched)> = Vec::with_capacity(all.len());
    for watched in all {
        let there = place(&watched);
        match once.iter_mut().find(|(known, _)| *known == there) {
            None => once.push((there, watched)),
            Some((_, known)) if !known.has_key() => *known = watched,
            Some(_) => {}
        }
    }
    once.into_iter().map(|(_, watched)| watched).collect()
}

fn parse(file: &Path, text: &str) -> Outcome<Vec<Watched>> {
    let mut all = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim_end();
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (path, opener) = line.split_once('\t').map_or((line, ""), |(path, opener)| (path, opener.trim()));
        let opener = match opener.split_once(':') {
            None if opener.is_empty() => Opener::Nothing,
            Some(("password-file", named)) if !named.is_empty() => Opener::PasswordFile(named.into()),
            Some(("startup-key", named)) if !named.is_empty() => Opener::StartupKey(named.into()),
            _ => {
                return Err(Failure::could_not(format!("{}, line {number}, cannot be understood", file.display()))
                    .cause("after the drive and a tab it must say `password-file:FILE` or `startup-key:FILE`"));
            }
        };
        all.push(Watched { path: path.trim_end().into(), opener });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_drive_is_watched_once() {
        let folder = tempfile::tempdir().unwrap();
        let (drive, link) = (folder.path().join("stick.img"), folder.path().join("link.img"));
        std::fs::write(&drive, "").unwrap();
        std::os::unix::fs::symlink(&drive, &link).unwrap();
        let entry = |path: &Path, opener: &Opener| Watched { path: path.to_owned(), opener: opener.clone() };
        let (nothing, file) = (Opener::Nothing, Opener::PasswordFile("pw.txt".into()));
        for all in [
            vec![entry(&drive, &file), entry(&link, &nothing), entry(&drive, &nothing)],
            vec![entry(&link, &nothing), entry(&drive, &file)],
            vec![entry(&drive, &file)],
        ] {
            assert_eq!(each_once(all), [entry(&drive, &file)]);
        }
        let absent = [entry(Path::new("/nowhere/a"), &nothing), entry(Path::new("/nowhere/b"), &nothing)];
        assert_eq!(each_once(absent.to_vec()), absent);
    }

    #[test]
    fn a_list_of_drives() {
        let text =
            "# ours\n\n/dev/sdb1\tstartup-key:/root/a b.BEK\ndisk one.img:2\t password-file:pw.txt \n/dev/sdc1\n";
        let all = parse(Path::new("drives"), text).unwrap();
        let expected = [
            ("/dev/sdb1", Opener::StartupKey("/root/a b.BEK".into())),
            ("disk one.img:2", Opener::PasswordFile("pw.txt".into())),
            ("/dev/sdc1", Opener::Nothing),
        ];
        let expected = expected.map(|(path, opener)| Watched { path: path.into(), opener });
        assert_eq!(all, expected);
        for bad in ["/dev/sdb1\tpassword:x", "/dev/sdb1\tpassword-file:", "/dev/sdb1\trecovery-password-file:x", "a\tb"]
        {
            let failure = parse(Path::new("drives"), bad).unwrap_err();
            assert!(failure.error.contains("line 1"), "{bad}");
        }
    }
}
