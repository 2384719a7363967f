//! Startup keys: `.BEK` files in the account, and out of it again.

use std::path::Path;

use crate::harness::{Computer, Service};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A drive with a startup key, and its file.
fn with_startup_key(computer: &Computer) -> (crate::harness::Drive, std::path::PathBuf) {
    let drive = computer.drive("stick.img");
    let folder = computer.path("keys");
    std::fs::create_dir(&folder).unwrap();
    let add = ["protectors", "add", "external-key", text(&drive.image), "--out", text(&folder)];
    computer.run(&[&add[..], &["--password-file", text(&drive.password)]].concat()).report();
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    (drive, file)
}

#[test]
fn a_startup_key_is_imported_listed_and_written_again() {
    let service = Service::start();
    let mut owner = service.owner();
    let (drive, file) = with_startup_key(&owner.computer);
    let identifier = file.file_stem().unwrap().to_str().unwrap().to_owned();
    let dry = owner.computer.run(&["keys", "import", text(&file), "--dry-run"]).report();
    assert_eq!((dry["would_save"].as_u64(), dry["saved"].as_u64()), (Some(1), Some(0)));
    let imported = owner.computer.run(&["keys", "import", text(&file)]).report();
    assert_eq!((imported["saved"].as_u64(), imported["files"][0]["format"].as_str()), (Some(1), Some("startup-key")));
    let again = owner.computer.run(&["keys", "import", text(&file)]).report();
    assert_eq!(again["already_there"].as_u64(), Some(1));
    let listed = owner.computer.run(&["keys", "list", &identifier]).report();
    let listed = &listed["keys"][0];
    assert_eq!((listed["kind"].as_str(), listed["verified"].clone()), (Some("bitlocker-external-key"), true.into()));

    // It is no text for a screen.
    let failure = owner.computer.with_code("000000", &["keys", "show", &identifier]).failure(1);
    assert!(failure["hint"].as_str().unwrap().contains("--out"), "{failure}");
    let folder = owner.computer.path("again");
    std::fs::create_dir(&folder).unwrap();
    let code = owner.phone.fresh_code();
    let shown = owner.computer.with_code(&code, &["keys", "show", &identifier, "--out", text(&folder)]).report();
    let written = folder.join(format!("{identifier}.BEK"));
    assert_eq!((shown["out"].as_str(), shown["recovery_key"].is_null()), (Some(text(&written)), true));
    assert_eq!(shown["rotation"], serde_json::Value::Null, "no computer can rewrite a stick by itself");
    let opened = owner.computer.run(&["verify", text(&drive.image), "--startup-key", text(&written)]);
    assert_eq!(opened.report()["opens"], true);
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&written).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Never over a file that is there.
    let code = "000000";
    assert_eq!(owner.computer.with_code(code, &["keys", "show", &identifier, "--out", text(&folder)]).status, 2);

    // The key stands nowhere in the open: neither in what was said nor in what is kept.
    let bytes = std::fs::read(&file).unwrap();
    let key = fve::ExternalKeyFile::parse(&bytes).unwrap().key().unwrap();
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let said = owner.computer.said.borrow().to_lowercase();
    assert!(said.len() > 500 && !said.contains(&hex));
    for folder in [owner.computer.path("state"), service.data()] {
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let content = std::fs::read(&path).unwrap();
                assert!(!content.windows(32).any(|window| window == key.as_slice()), "{}", path.display());
            }
        }
    }
}

#[test]
fn an_export_covers_startup_keys() {
    let service = Service::start();
    let mut owner = service.owner();
    let (drive, file) = with_startup_key(&owner.computer);
    owner.computer.run(&["keys", "import", text(&file), text(&drive.key)]).report();
    let passphrase = owner.computer.file("passphrase", "four slow green kettles\n");
    let out = owner.computer.path("keys.age");
    let code = owner.phone.fresh_code();
    let export = ["keys", "export", "--output", text(&out), "--passphrase-file", text(&passphrase)];
    assert_eq!(owner.computer.with_code(&code, &export).report()["keys"].as_u64(), Some(2));
    let sealed = std::fs::read(&out).unwrap();
    let decryptor = age::Decryptor::new(&sealed[..]).unwrap();
    let identity = age::scrypt::Identity::new(age::secrecy::SecretString::from("four slow green kettles".to_owned()));
    let mut plain = Vec::new();
    let mut reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).unwrap();
    std::io::Read::read_to_end(&mut reader, &mut plain).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&plain).unwrap();
    let keys = document["keys"].as_array().unwrap();
    let startup = keys.iter().find(|key| key["startup_key_file"].is_string()).unwrap();
    assert!(startup["recovery_key"].is_null());
    let bytes = data_encoding::BASE64.decode(startup["startup_key_file"].as_str().unwrap().as_bytes()).unwrap();
    let parsed = fve::ExternalKeyFile::parse(&bytes).unwrap();
    let original = fve::ExternalKeyFile::parse(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(parsed.identifier, original.identifier);
    assert!(parsed.key().unwrap() == original.key().unwrap());
    assert!(keys.iter().any(|key| key["recovery_key"] == drive.digits().as_str()));
}
