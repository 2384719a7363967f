//! Talking to the person at the terminal. Secrets are not echoed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};

use secret::SecretString;

use crate::failure::{Failure, Outcome};

/// The terminal of this process, when there is one to ask on.
fn terminal() -> Option<File> {
    File::options().read(true).write(true).open("/dev/tty").ok()
}

/// Asks for a secret without echo.
pub(crate) fn secret(question: &str) -> Outcome<SecretString> {
    // Echo goes off before the question stands there: whoever answers at once is neither shown nor lost.
    ask(question, |tty| {
        let line = without_echo(tty, |tty| put(tty, question).and_then(|()| read_line(tty)))?;
        // The Enter that was typed was not echoed either.
        writeln!(&*tty)?;
        Ok(line)
    })
}

/// Asks for something that is no secret.
pub(crate) fn line(question: &str) -> Outcome<String> {
    let line = ask(question, |tty| put(tty, question).and_then(|()| read_line(tty)))?;
    Ok(line.expose().trim().to_owned())
}

/// Asks for something that is secret in part and has to be seen while it is typed.
pub(crate) fn visible_secret(question: &str) -> Outcome<SecretString> {
    ask(question, |tty| put(tty, question).and_then(|()| read_line(tty)))
}

/// Shows a text on the terminal, and only there: it is not for files or pipes.
pub(crate) fn show(text: &str) -> Outcome {
    let Some(mut tty) = terminal() else {
        return Err(Failure::could_not("there is no terminal to show this on"));
    };
    let written = tty.write_all(text.as_bytes()).and_then(|()| tty.flush());
    written.map_err(|error| Failure::could_not("cannot write to the terminal").because(&error))
}

fn ask(question: &str, dialogue: impl FnOnce(&File) -> io::Result<SecretString>) -> Outcome<SecretString> {
    let Some(tty) = terminal() else {
        return Err(Failure::could_not(format!("there is no terminal to ask for the {question}"))
            .hint("give it in a file or in the environment; `--help` lists the options"));
    };
    dialogue(&tty).map_err(|error| Failure::could_not(format!("cannot ask for the {question}")).because(&error))
}

fn put(mut tty: &File, question: &str) -> io::Result<()> {
    write!(tty, "{question}: ")?;
    tty.flush()
}

fn read_line(tty: &File) -> io::Result<SecretString> {
    let mut line = String::with_capacity(256);
    if BufReader::new(tty).read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    while line.ends_with(['\n', '\r']) {
        line.pop();
    }
    Ok(SecretString::new(line))
}

#[cfg(unix)]
fn without_echo(tty: &File, read: impl FnOnce(&File) -> io::Result<SecretString>) -> io::Result<SecretString> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let before = tcgetattr(tty)?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    tcsetattr(tty, OptionalActions::Flush, &quiet)?;
    let line = read(tty);
    tcsetattr(tty, OptionalActions::Flush, &before)?;
    line
}

#[cfg(not(unix))]
fn without_echo(tty: &File, read: impl FnOnce(&File) -> io::Result<SecretString>) -> io::Result<SecretString> {
    read(tty)
}
