//! The account's password, changed at the command line.

use crate::harness::{EMAIL, PASSWORD, Ran, Service};

const NEW: &str = "four green kites above the bay";

fn change(owner: &crate::harness::Owner, code: &str, old: &str, new: &str) -> Ran {
    let mut command = owner.computer.command(&["account", "password"]);
    command.env("KEYHAVEN_CODE", code).env("KEYHAVEN_ACCOUNT_PASSWORD", old);
    owner.computer.finish(command.env("KEYHAVEN_NEW_ACCOUNT_PASSWORD", new))
}

#[test]
fn a_changed_password_signs_in_and_the_old_one_does_not() {
    let service = Service::start();
    let mut owner = service.enrolled();
    assert_eq!(
        change(&owner, "000000", PASSWORD, "password1").failure(1)["error"],
        "this password is too easy to guess"
    );
    assert_eq!(change(&owner, "000000", PASSWORD, PASSWORD).failure(1)["error"], "the new password is the present one");
    assert_eq!(change(&owner, "000000", "wrong horse battery", NEW).code(1), "auth.invalid");
    let code = owner.phone.fresh_code();
    assert_eq!(change(&owner, &code, PASSWORD, NEW).report()["password_changed"], true);

    let laptop = service.computer();
    let sign_in = |password: &str, code: &str| {
        let mut command = laptop.command(&["account", "sign-in", "--email", EMAIL]);
        laptop.finish(command.env("KEYHAVEN_CODE", code).env("KEYHAVEN_ACCOUNT_PASSWORD", password))
    };
    assert_eq!(sign_in(PASSWORD, "000000").code(1), "auth.invalid");
    sign_in(NEW, &owner.phone.fresh_code()).report();
    let drive = owner.computer.drive("stick.img");
    owner.computer.backup(&drive).report();
    assert_eq!(laptop.run(&["audit", "verify"]).report()["sound"], true);

    let log = std::fs::read_to_string(service.log()).unwrap();
    let said = owner.computer.said.borrow();
    for password in [PASSWORD, NEW] {
        assert!(!said.contains(password) && !log.contains(password));
    }
}
