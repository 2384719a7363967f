//! Signing up and in: what is refused, and how it is said.

use std::process::{Command, Stdio};

use crate::harness::{Computer, EMAIL, Ran, Service};

fn sign_up(computer: &Computer, invite: &str, password: &str, kit: &str) -> Ran {
    let kit = computer.path(kit);
    let link = computer.path("link.txt");
    let mut command = computer.command(&["account", "sign-up", "--email", EMAIL]);
    command.arg("--kit-out").arg(kit).arg("--totp-secret-out").arg(link);
    command.env("KEYHAVEN_INVITE", invite).env("KEYHAVEN_ACCOUNT_PASSWORD", password);
    computer.finish(command.env("KEYHAVEN_CODE", "000000"))
}

#[test]
fn a_sign_up_that_cannot_be_finished_leaves_nothing() {
    let service = Service::start();
    let computer = service.computer();
    let weak = sign_up(&computer, &service.invite(), "password1", "kit.txt").failure(1);
    assert_eq!(weak["error"], "this password is too easy to guess");
    let good = crate::harness::PASSWORD;
    assert_eq!(sign_up(&computer, "a guess", good, "kit.txt").code(1), "auth.email_code_invalid");
    assert!(!computer.path("kit.txt").exists(), "a kit of no account");
    computer.file("mine.txt", "keep");
    let taken = sign_up(&computer, &service.invite(), good, "mine.txt").failure(2);
    assert!(taken["hint"].as_str().unwrap().contains("never overwritten"), "{taken}");
    assert_eq!(std::fs::read_to_string(computer.path("mine.txt")).unwrap(), "keep");
    assert!(computer.run(&["account", "show"]).failure(2)["hint"].as_str().unwrap().contains("sign-in"));
}

#[test]
fn a_second_factor_that_failed_is_added_later() {
    let service = Service::start();
    let computer = service.computer();
    // One code in the environment, two are needed.
    let broken_off = sign_up(&computer, &service.invite(), crate::harness::PASSWORD, "kit.txt").failure(2);
    assert!(broken_off["hint"].as_str().unwrap().contains("keyhaven factors add"), "{broken_off}");
    let link = computer.path("link.txt");
    assert!(!link.exists(), "the link of an authenticator that was not added");
    // Until then the account shows nothing and lets no computer in.
    assert_eq!(computer.run(&["keys", "list"]).code(1), "factor.enrol_needed");

    let wrong = computer.file("codes", "000000\n000000\n");
    let arguments =
        ["factors", "add", "--totp-secret-out", link.to_str().unwrap(), "--code-file", wrong.to_str().unwrap()];
    assert_eq!(computer.run(&arguments).code(1), "factor.code_wrong");

    let (added, _) = computer.with_new_phone(&mut computer.command(&["factors", "add"]), &link);
    assert_eq!(added.report()["two_factor"], true);
    assert_eq!(computer.run(&["factors", "list"]).report()["factors"].as_array().unwrap().len(), 1);
    computer.run(&["keys", "list"]).report();
}

#[test]
fn a_sign_up_that_is_refused_leaves_files_of_others_alone() {
    let service = Service::start();
    let computer = service.computer();
    let kit = computer.file("kit.txt", "the kit of another account\n");
    let sign_up = |invite: &str, server: &str| {
        let mut command = computer.command(&["account", "sign-up", "--email", EMAIL]);
        computer
            .finish(command.arg("--kit-out").arg(&kit).env("KEYHAVEN_INVITE", invite).env("KEYHAVEN_SERVER", server))
    };
    assert_eq!(sign_up("AAAA-AAAA", &service.origin).code(1), "auth.email_code_invalid");
    sign_up("AAAA-AAAA", "http://127.0.0.1:9").failure(2);
    let refused = sign_up(&service.invite(), &service.origin).failure(2);
    assert!(refused["hint"].as_str().unwrap().contains("never overwritten"), "{refused}");
    assert_eq!(std::fs::read_to_string(&kit).unwrap(), "the kit of another account\n");
}

#[test]
fn wrong_and_used_codes_and_passwords_are_told_apart() {
    let service = Service::start();
    let mut owner = service.owner();
    let phone = service.computer();
    let arguments = ["account", "sign-in", "--email", EMAIL];
    let wrong = if owner.phone.fresh_code() == "123456" { "654321" } else { "123456" };
    assert_eq!(phone.with_code(wrong, &arguments).code(1), "factor.code_wrong");
    let mut other_password = phone.command(&arguments);
    let other_password = other_password.env("KEYHAVEN_ACCOUNT_PASSWORD", "wrong").env("KEYHAVEN_CODE", wrong);
    assert_eq!(phone.finish(other_password).code(1), "auth.invalid");
    let code = owner.phone.fresh_code();
    phone.with_code(&code, &arguments).report();
    let used = phone.with_code(&code, &arguments);
    assert_eq!(used.code(1), "factor.code_used");
    assert!(used.failure(1)["hint"].as_str().unwrap().contains("next code"));
    // The last factor stays: two-factor is not lost by accident.
    let code = owner.phone.fresh_code();
    assert_eq!(phone.with_code(&code, &["factors", "remove", "authenticator"]).code(1), "factor.last_one");
}

#[test]
fn without_a_terminal_every_question_names_its_option() {
    if !testkit::programs(&["setsid"]) {
        return;
    }
    let service = Service::start();
    let computer = service.computer();
    let ask = |arguments: &[&str]| {
        let inner = computer.command(arguments);
        let mut command = Command::new("setsid");
        command.arg("-w").arg(inner.get_program()).args(inner.get_args()).stdin(Stdio::null());
        command.env("KEYHAVEN_STATE", computer.path("state")).env("KEYHAVEN_SERVER", &service.origin);
        command.env_remove("KEYHAVEN_ACCOUNT_PASSWORD");
        computer.finish(&mut command).failure(2)["hint"].as_str().unwrap().to_owned()
    };
    assert!(ask(&["account", "sign-in"]).contains("--email"));
    assert!(ask(&["account", "sign-in", "--email", EMAIL]).contains("--account-password-file"));
    assert!(ask(&["account", "sign-up", "--email", EMAIL]).contains("--invite-file"));
    let drive = computer.drive("stick.img");
    assert!(ask(&["verify", drive.image.to_str().unwrap()]).contains("--from-account"));
}
