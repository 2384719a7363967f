//! Settings of the service: from flags, the environment, a file.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Ran, keyhaven};

struct Place {
    folder: TempDir,
}

impl Place {
    fn new(file: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("keyhaven.toml"), file).unwrap();
        Self { folder }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("keyhaven.toml")
    }

    fn serve(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = keyhaven();
        command.current_dir(self.folder.path()).args(["serve", "--json", "--config"]).arg(self.config());
        command.args(arguments).envs(environment.iter().copied());
        Ran::new(&command.output().unwrap())
    }

    fn check(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Value {
        self.serve(&[&["--check"], arguments].concat(), environment).report()
    }
}

/// A setting's value, source and line.
fn setting(report: &Value, key: &str) -> (String, String, u64) {
    let settings = report["settings"].as_array().unwrap();
    let found = settings.iter().find(|setting| setting["key"] == key).unwrap_or_else(|| panic!("no {key}"));
    let text = |name: &str| found[name].as_str().unwrap_or("-").to_owned();
    (text("value"), text("source"), found["line"].as_u64().unwrap_or(0))
}

fn is(value: &str, source: &str, line: u64) -> (String, String, u64) {
    (value.to_owned(), source.to_owned(), line)
}

#[test]
fn a_flag_counts_before_the_environment_before_the_file_before_the_default() {
    let place = Place::new(
        "# settings\nlisten = \"127.0.0.1:1001\"\nlimit-saves-per-device = 7\n\nmetrics = \"127.0.0.1:9\"\n",
    );
    let report = place.check(&[], &[]);
    assert_eq!(setting(&report, "listen"), is("127.0.0.1:1001", "file", 2));
    assert_eq!(setting(&report, "limit-saves-per-device"), is("7", "file", 3));
    assert_eq!(setting(&report, "metrics"), is("127.0.0.1:9", "file", 5));
    assert_eq!(setting(&report, "stop-seconds"), is("30", "default", 0));
    assert_eq!(setting(&report, "origin"), is("-", "default", 0));
    let environment = [("KEYHAVEN_LISTEN", "127.0.0.1:1002"), ("KEYHAVEN_STOP_SECONDS", "5")];
    let report = place.check(&[], &environment);
    assert_eq!(setting(&report, "listen"), is("127.0.0.1:1002", "environment", 0));
    assert_eq!(setting(&report, "stop-seconds"), is("5", "environment", 0));
    let report = place.check(&["--listen", "127.0.0.1:1003"], &environment);
    assert_eq!(setting(&report, "listen"), is("127.0.0.1:1003", "flag", 0));
    assert!(!place.folder.path().join("keyhaven-data").exists(), "looking changes nothing");
}

#[test]
fn lists_are_lists() {
    let place = Place::new("trusted-proxy = [\"10.0.0.1\", \"192.168.0.0/16\"]\n");
    assert_eq!(setting(&place.check(&[], &[]), "trusted-proxy").0, "10.0.0.1, 192.168.0.0/16");
    let report = place.check(&["--trusted-proxy", "10.9.9.9"], &[]);
    assert_eq!(setting(&report, "trusted-proxy"), is("10.9.9.9", "flag", 0), "the flag replaces the list");
}

#[test]
fn what_cannot_be_used_is_told_with_its_line_and_without_its_text() {
    for (file, line) in [
        ("listen = \"127.0.0.1:1\"\nlistne = \"SECRETTEXT\"\n", 2),
        ("\n\nlisten = \"SECRETTEXT\"\n", 3),
        ("data = \"x\"\nstop-seconds = 0\n", 2),
        ("stop-seconds = \"SECRETTEXT\"\n", 1),
        ("data = \"x\"\nlisten = SECRETTEXT\n", 2),
        ("data = \"x\"\n[limits]\nSECRETTEXT = 5\n", 2),
        ("data = \"x\"\ndata = \"SECRETTEXT\"\n", 2),
        ("database = \"mysql://u:SECRETTEXT@h/d\"\n", 1),
        ("init = \"SECRETTEXT\"\n", 1),
        ("json = \"SECRETTEXT\"\n", 1),
        ("log-format = [\"json\", \"SECRETTEXT\"]\n", 1),
        ("limit-saves-per-device = -1\n", 1),
        ("limit-saves-per-device = 1.5\n", 1),
        ("check = true\n", 1),
    ] {
        let place = Place::new(file);
        let ran = place.serve(&["--check"], &[]);
        let failure = ran.failure(2);
        let error = failure["error"].as_str().unwrap();
        assert!(error.contains(&format!("line {line},")), "{file:?}: {failure}");
        assert!(!ran.stderr.contains("SECRETTEXT") && !ran.stdout.contains("SECRETTEXT"), "{file:?}: {ran:?}");
    }
    let failure = Place::new("tls-certificate = \"a.pem\"\n").serve(&["--check"], &[]).failure(2);
    assert!(failure["error"].as_str().unwrap().contains("do not go together"), "{failure}");
    let mut command = keyhaven();
    let missing =
        Ran::new(&command.args(["serve", "--json", "--check", "--config", "/nonexistent.toml"]).output().unwrap());
    assert!(missing.failure(2)["hint"].as_str().unwrap().contains("--config"));
}

#[test]
fn no_secret_of_a_setting_is_told() {
    let place = Place::new(
        "database = \"postgres://vault:SECRETWORD@db.example.org:5432/vault?sslmode=require\"\nkey-command = \"cat --token=SECRETTOKEN x\"\n",
    );
    // The command gives no keys, which is told; what stands in it is not.
    let ran = place.serve(&["--check"], &[]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(!ran.stderr.contains("SECRET") && !ran.stdout.contains("SECRET"), "{ran:?}");
    let place = Place::new("database = \"postgres://vault:SECRETWORD@db.example.org:5432/vault?sslmode=require\"\n");
    let ran = place.serve(&["--check"], &[]);
    assert_eq!(setting(&ran.report(), "database").0, "postgres://db.example.org:5432/vault");
    assert!(!ran.stdout.contains("SECRETWORD"), "{ran:?}");
    // An argument is seen by everybody.
    let flag = ["--check", "--database", "postgres://vault:SECRETWORD@db.example.org/vault"];
    let ran = place.serve(&flag, &[]);
    assert!(ran.failure(2)["hint"].as_str().unwrap().contains("KEYHAVEN_DATABASE"), "{ran:?}");
    assert!(!ran.stderr.contains("SECRETWORD"), "{ran:?}");
    // Nor does the help show what stands in the environment.
    let help = keyhaven().args(["serve", "--help"]).env("KEYHAVEN_DATABASE", flag[2]).output().unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains("SECRETWORD"));
}

#[test]
fn commands_beside_the_service_use_the_same_file() {
    let place = Place::new("");
    let data = place.folder.path().join("here");
    let file = format!("listen = \"127.0.0.1:0\"\ndata = \"{}\"\nmetrics = \"127.0.0.1:0\"\n", data.display());
    std::fs::write(place.config(), file).unwrap();
    let invite = place.serve(&["invite"], &[]).report();
    assert!(invite["invite"].as_str().unwrap().len() > 10);
    assert!(data.join("vault.sqlite").exists());
    let other = place.folder.path().join("other");
    place.serve(&["invite", "--data", other.to_str().unwrap()], &[]).report();
    assert!(other.join("vault.sqlite").exists(), "the flag counts before the file");
}

#[test]
fn what_a_check_finds_is_what_a_start_would_refuse() {
    let place = Place::new("data = \"d\"\n");
    let report = place.serve(&["--init"], &[]).report();
    assert_eq!(report["hours"], 72);
    assert!(report["invite"].as_str().unwrap().len() > 10);
    let keys = place.folder.path().join("d/server.keys");
    assert_eq!(report["back_up"]["keys"], "d/server.keys");
    place.check(&[], &[]);
    assert_eq!(place.serve(&["--init"], &[]).status, 1, "it is set up");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o644)).unwrap();
        let failure = place.serve(&["--check"], &[]).failure(2);
        assert!(failure["hint"].as_str().unwrap().contains("chmod 600"), "{failure}");
    }
    std::fs::remove_file(&keys).unwrap();
    let failure = place.serve(&["--check"], &[]).failure(2);
    assert!(failure["hint"].as_str().unwrap().contains("backup"), "{failure}");
}

#[test]
fn a_first_start_says_what_to_do_next() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("d");
    let ran = Ran::new(&keyhaven().args(["serve", "--init", "--data"]).arg(&data).output().unwrap());
    assert_eq!(ran.status, 0, "{ran:?}");
    for word in ["Back up", "server.keys", "keyhaven serve backup", "sign-up", "invite", "--check"] {
        assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
    }
    assert!(Path::new(&data).join("vault.sqlite").exists());
}
