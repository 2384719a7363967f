//! Secrets stay where they belong: not in outputs, files, logs, arguments or core dumps.

use std::io::Write;
use std::process::Stdio;

use secret::RecoveryPassword;
use testkit::leaks;

use crate::harness::{DRIVE_PASSWORD, PASSWORD, Service, digits_in};

#[test]
fn no_secret_is_left_in_outputs_state_database_or_log() {
    let service = Service::start();
    let mut owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    owner.computer.backup(&drive).report();
    let code = owner.phone.fresh_code();
    let image = drive.image.to_str().unwrap();
    owner.computer.with_code(&code, &["verify", image, "--from-account"]).report();

    let password = RecoveryPassword::parse(&drive.digits()).unwrap();
    let forms = leaks::forms(&password);
    let said = owner.computer.said.borrow().clone();
    assert!(said.len() > 500 && leaks::search(said.as_bytes(), &forms).is_empty());
    for folder in [owner.computer.path("state"), service.folder.path().to_owned()] {
        let (found, searched) = leaks::search_folder(&folder, &forms).unwrap();
        assert!(found.is_empty() && searched > 1000, "{found:?}, {searched} bytes");
    }
    let log = std::fs::read_to_string(service.log()).unwrap();
    assert!(log.contains("answered"), "the log says what happens: {log}");
    let key_id = drive.key_id.as_str();
    for word in [PASSWORD, DRIVE_PASSWORD, code.as_str(), key_id, &key_id.to_lowercase(), "ada@", "stick"] {
        assert!(!log.contains(word), "{word} is in the log");
    }
    assert!(!said.contains(PASSWORD) && !said.contains(DRIVE_PASSWORD));
    // Nor does the database know which drive it is.
    let database = std::fs::read(service.data().join("vault.sqlite")).unwrap();
    let wal = std::fs::read(service.data().join("vault.sqlite-wal")).unwrap_or_default();
    for bytes in [database, wal] {
        assert!(!bytes.windows(8).any(|window| window == key_id.as_bytes()));
    }
}

/// The service's whole memory after it took, kept and released a key: the key is not in it, in any form, nor the password or the
/// codes of its owner's. What must be in it is found, so the search is one.
#[cfg(target_os = "linux")]
#[test]
fn the_memory_of_the_service_holds_no_key() {
    let service = Service::start();
    let mut owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    owner.computer.backup(&drive).report();
    let code = owner.phone.fresh_code();
    owner.computer.with_code(&code, &["verify", drive.image.to_str().unwrap(), "--from-account"]).report();

    let Some(memory) = memory_of(service.process()) else {
        return testkit::skip("the memory of another process cannot be read here");
    };
    let holds = |text: &str| memory.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("ada@example.org") && holds("/v1/records/"), "{} bytes were searched", memory.len());
    let password = RecoveryPassword::parse(&drive.digits()).unwrap();
    let found = leaks::search(&memory, &leaks::forms(&password));
    assert!(found.is_empty(), "{found:?}");
    for secret in [PASSWORD, DRIVE_PASSWORD] {
        assert!(!holds(secret), "{secret}");
    }
}

/// Everything a process may write to. `None` where its memory may not be read.
#[cfg(target_os = "linux")]
fn memory_of(process: u32) -> Option<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let memory = std::fs::File::open(format!("/proc/{process}/mem")).ok()?;
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
        let (from, to) = line.split(' ').next()?.split_once('-')?;
        let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
        let mut part = vec![0; usize::try_from(to - from).ok()?];
        // Guard pages and the like cannot be read, and hold nothing.
        if memory.read_exact_at(&mut part, from).is_ok() {
            // Pages that were never written to are most of it.
            all.extend(part.chunks(4096).filter(|page| page.iter().any(|byte| *byte != 0)).flatten());
        }
    }
    Some(all)
}

#[cfg(target_os = "linux")]
#[test]
fn a_running_program_shows_no_secret_and_dumps_no_core() {
    let service = Service::start();
    let computer = service.computer();
    let drive = computer.drive("stick.img");
    let arguments = ["verify", drive.image.to_str().unwrap(), "--password-file", "-"];
    let mut child = computer.command(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(DRIVE_PASSWORD.as_bytes()).unwrap();
    // It waits for the end of its input now, with the secret in memory.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let process = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap();
    let limit = process("limits");
    let limit = limit.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(limit.split_whitespace().nth(4), Some("0"), "{limit}");
    assert!(!process("cmdline").contains(DRIVE_PASSWORD));
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// Everything of the form of an identifier, as it is printed and in one piece.
fn identifiers(text: &str) -> Vec<String> {
    let is_letter = |letter: char| letter.is_ascii_hexdigit() || letter == '-';
    let words = text.split(|letter| !is_letter(letter));
    let of_form = |word: &&str| word.len() == 36 && word.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let mut found: Vec<String> = words.filter(of_form).map(str::to_lowercase).collect();
    found.sort();
    found.dedup();
    found.iter().flat_map(|word| [word.clone(), word.replace('-', ""), word.to_uppercase()]).collect()
}

#[test]
fn the_log_of_a_whole_journey_names_nobody_and_nothing() {
    for form in ["text", "json"] {
        let service = Service::with(&["--log-format", form, "--log-level", "debug", "--metrics", "127.0.0.1:0"]);
        let mut owner = service.enrolled();
        let drive = owner.computer.drive("stick.img");
        owner.computer.backup(&drive).report();
        let image = drive.image.to_str().unwrap();
        let mut codes = Vec::new();
        let mut with_code = |owner: &mut crate::harness::Owner, arguments: &[&str]| {
            let code = owner.phone.fresh_code();
            codes.push(code.clone());
            owner.computer.with_code(&code, arguments)
        };
        with_code(&mut owner, &["verify", image, "--from-account"]).report();
        let out = owner.computer.path("shown.txt");
        let show = ["keys", "show", drive.key_id.as_str(), "--reason", "drill", "--out", out.to_str().unwrap()];
        with_code(&mut owner, &show).report();
        for arguments in
            [&["account", "show"][..], &["keys", "list"], &["device", "list"], &["audit", "show"], &["audit", "verify"]]
        {
            owner.computer.run(arguments).report();
        }
        // What is refused says no more than what is granted.
        assert_ne!(owner.computer.with_code("000000", &show).status, 0);
        let stranger = service.computer();
        assert_ne!(stranger.with_code("000000", &["account", "sign-in", "--email", "mallory@example.org"]).status, 0);
        let session = std::fs::read_to_string(owner.computer.path("state").join("session.json")).unwrap();
        let token = serde_json::from_str::<serde_json::Value>(&session).unwrap()["token"].as_str().unwrap().to_owned();

        let log = std::fs::read_to_string(service.log()).unwrap();
        assert!(log.matches("answered").count() > 20, "{log}");
        let mut words = identifiers(&owner.computer.said.borrow());
        assert!(words.len() > 8, "the journey names what is to be looked for: {words:?}");
        words.extend(codes);
        words.extend(
            [
                token.as_str(),
                &digits_in(&out),
                PASSWORD,
                DRIVE_PASSWORD,
                "ada",
                "mallory",
                "example.org",
                "stick",
                "workshop",
                "127.0.0",
            ]
            .map(str::to_owned),
        );
        for word in words {
            // The address that it listens on is not told to the log either, nor is that of a client.
            assert!(!log.contains(&word), "{word} is in the log ({form})");
        }
        if form == "json" {
            for line in log.lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
                assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
            }
            let line = log.lines().find(|line| line.contains("answered")).unwrap();
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(line["span"]["route"].is_string() && line["status"].is_u64(), "{line}");
        }
    }
}
