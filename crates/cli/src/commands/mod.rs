//! One module per command.

pub(crate) mod create;
pub(crate) mod decrypt;
pub(crate) mod info;
pub(crate) mod verify;

use crate::args::{Arguments, Command};
use crate::failure::Outcome;

pub(crate) fn run(arguments: Arguments) -> Outcome {
    let json = arguments.json;
    match arguments.command {
        Command::Info(arguments) => info::run(&arguments, json),
        Command::Verify(arguments) => verify::run(&arguments, json),
        Command::Decrypt(arguments) => decrypt::run(&arguments, json),
        Command::Create(arguments) => create::run(&arguments, json),
    }
}
