//! Load on a running service, for `cargo xtask bench vault`: real saves, signed and sealed, and real people.
//!
//! ```text
//! vault_load prepare FOLDER ACCOUNTS DEVICES SAVES     makes accounts, devices and sealed saves; talks to nobody
//! vault_load save ORIGIN FOLDER FIRST COUNT AT_ONCE [PER_SECOND]
//! vault_load join ORIGIN FOLDER INVITES                people sign up, with a second factor, a device and a key each
//! vault_load sign-in | list | reveal ORIGIN FOLDER     the same people again
//! ```
//! Each prints one line of JSON. What is measured is the service: bodies are sealed beforehand, connections stay open.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a tool for measuring; its output is its purpose"
)]

mod people;
mod prepare;
mod save;
mod times;
mod wire;

use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<usize>().unwrap_or_else(|_| panic!("{text} is not a number"));
    let line = match arguments.as_slice() {
        ["prepare", folder, accounts, devices, saves] => {
            prepare::run(Path::new(folder), number(accounts), number(devices), number(saves))
        }
        ["save", origin, folder, first, count, at_once, pace @ ..] => {
            let load = save::Load { first: number(first), count: number(count), at_once: number(at_once) };
            save::run(origin, Path::new(folder), &load, pace.first().map(|pace| number(pace)))
        }
        ["join", origin, folder, invites] => people::join(origin, Path::new(folder), Path::new(invites)),
        ["sign-in", origin, folder] => people::sign_in(origin, Path::new(folder)),
        ["list", origin, folder] => people::list(origin, Path::new(folder)),
        ["reveal", origin, folder] => people::reveal(origin, Path::new(folder)),
        _ => panic!("see the head of vault_load/main.rs for what it takes"),
    };
    println!("{line}");
}
