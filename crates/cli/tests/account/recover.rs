//! A lost password, got over at the command line.

use crate::harness::{Computer, EMAIL, PASSWORD, Ran, Service};

const NEW: &str = "four green kites above the bay";

fn recover(computer: &Computer, kit: &std::path::Path, out: &str, code: &str) -> Ran {
    let mut command = computer.command(&["account", "recover", "--email", EMAIL]);
    command.arg("--kit-file").arg(kit).arg("--kit-out").arg(computer.path(out));
    command.env_remove("KEYHAVEN_ACCOUNT_PASSWORD").env("KEYHAVEN_NEW_ACCOUNT_PASSWORD", NEW);
    computer.finish(command.env("KEYHAVEN_CODE", code))
}

#[test]
fn the_kit_and_a_code_give_a_new_password() {
    let service = Service::start();
    let mut owner = service.enrolled();
    let kit = owner.computer.path("kit.txt");
    let laptop = service.computer();
    let mistyped = laptop.file("mistyped", "ABCD-EFGH\n");
    assert!(
        recover(&laptop, &mistyped, "new-kit.txt", "000000").failure(1)["error"].as_str().unwrap().contains("mistyped")
    );
    let missing = laptop.path("missing");
    recover(&laptop, &missing, "new-kit.txt", "000000").failure(2);
    assert_eq!(recover(&laptop, &kit, "new-kit.txt", "AAAA-AAAA-AAAA").code(1), "factor.code_wrong");
    assert!(!laptop.path("new-kit.txt").exists(), "the kit of a recovery that failed");
    let done = recover(&laptop, &kit, "new-kit.txt", &owner.phone.fresh_code());
    assert_eq!(done.report()["password_changed"], true);
    assert_eq!(owner.computer.run(&["keys", "list"]).code(1), "auth.session_expired");
    let drive = owner.computer.drive("stick.img");
    owner.computer.backup(&drive).report();

    let sign_in = |password: &str, code: &str| {
        let mut command = laptop.command(&["account", "sign-in", "--email", EMAIL]);
        laptop.finish(command.env("KEYHAVEN_CODE", code).env("KEYHAVEN_ACCOUNT_PASSWORD", password))
    };
    assert_eq!(sign_in(PASSWORD, "000000").code(1), "auth.invalid");
    sign_in(NEW, &owner.phone.fresh_code()).report();
    assert_eq!(laptop.run(&["account", "show"]).report()["two_factor"], true);
    let void = recover(&laptop, &kit, "third.txt", "000000").failure(1);
    assert!(void["hint"].as_str().unwrap().contains("void"), "{void}");

    let new_kit = std::fs::read_to_string(laptop.path("new-kit.txt")).unwrap();
    let code = new_kit.lines().find_map(|line| line.trim().strip_prefix("Code")).unwrap().trim();
    let said = format!("{}{}", laptop.said.borrow(), owner.computer.said.borrow());
    let log = std::fs::read_to_string(service.log()).unwrap();
    for secret in [NEW, code] {
        assert!(!said.contains(secret) && !log.contains(secret));
    }
}

#[cfg(unix)]
#[test]
fn a_mailed_code_is_in_the_folder_of_notices_and_nowhere_else() {
    let service = Service::with_notices();
    let mut owner = service.owner();
    let kit = owner.computer.path("kit.txt");
    let laptop = service.computer();
    let command = |code: &str| {
        let mut command = laptop.command(&["account", "recover", "--email", EMAIL]);
        command.arg("--kit-file").arg(&kit).arg("--kit-out").arg(laptop.path("new-kit.txt"));
        command.env("KEYHAVEN_NEW_ACCOUNT_PASSWORD", NEW).env("KEYHAVEN_CODE", code);
        command
    };
    let wrong = laptop.finish(command("000000").env("KEYHAVEN_MAILED_CODE", "none"));
    assert_eq!(wrong.code(1), "auth.email_code_invalid");

    let before = mailed_codes(&service);
    let mailed = laptop.path("mailed");
    assert!(std::process::Command::new("mkfifo").arg(&mailed).status().unwrap().success());
    let code = owner.phone.fresh_code();
    let child = command(&code)
        .arg("--mailed-code-file")
        .arg(&mailed)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Opened by the program once it is asked for: by then the notice is under way.
    let mut pipe = std::fs::File::options().write(true).open(&mailed).unwrap();
    let new = loop {
        match mailed_codes(&service).into_iter().find(|code| !before.contains(code)) {
            Some(code) => break code,
            None => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    };
    std::io::Write::write_all(&mut pipe, new.as_bytes()).unwrap();
    drop(pipe);
    let ran = Ran::new(&child.wait_with_output().unwrap());
    assert_eq!(ran.report()["password_changed"], true);
    let log = std::fs::read_to_string(service.log()).unwrap();
    assert!(!log.contains(&new) && !log.contains("ada@") && !ran.stdout.contains(&new) && !ran.stderr.contains(&new));
}

/// The codes in the notices so far, one at least.
#[cfg(unix)]
fn mailed_codes(service: &Service) -> Vec<String> {
    for _ in 0..500 {
        let texts: Vec<_> = std::fs::read_dir(service.notices())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|file| file.extension().is_some_and(|extension| extension == "txt"))
            .map(|file| std::fs::read_to_string(file).unwrap())
            .filter(|text| text.contains("Subject: Your Keyhaven code"))
            .collect();
        if !texts.is_empty() {
            let code = |text: &String| text.lines().map(str::trim).find(|line| line.len() == 6).unwrap().to_owned();
            return texts.iter().map(code).collect();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("no notice")
}
