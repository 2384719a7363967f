//! The server's secrets from a command: a vault of the operator's own, a smart card, a file that is encrypted at rest.
//!
//! The command is run without a shell. What it prints is bounded, so is its time; what it says to standard error is thrown away,
//! since nobody knows what stands there.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

/// How long the command may take.
const TIME: Duration = Duration::from_secs(20);
/// Most that it may print: a key file has less than 1 KiB.
const MOST_BYTES: usize = 16 * 1024;

/// Why a command gave no secrets. Never tells what it printed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyCommandError {
    /// Nothing to run, or a quote is not closed.
    #[error("it is not a command: a quote is not closed, or there is nothing")]
    NotACommand,
    /// It could not be run.
    #[error("it cannot be run")]
    Run(#[source] io::Error),
    /// It failed.
    #[error("it ended with {0}")]
    Failed(ExitStatus),
    /// It took too long.
    #[error("it took longer than {} seconds", TIME.as_secs())]
    TooLong,
    /// It printed more than a key file has.
    #[error("it printed more than {MOST_BYTES} bytes")]
    TooMuch,
    /// It printed something else than text.
    #[error("it printed something that is no text")]
    NotText,
}

/// Runs the command and gives what it printed.
pub(crate) fn run(command: &str) -> Result<Zeroizing<String>, KeyCommandError> {
    run_within(command, TIME)
}

fn run_within(command: &str, time: Duration) -> Result<Zeroizing<String>, KeyCommandError> {
    let words = shlex::split(command).unwrap_or_default();
    let Some((program, arguments)) = words.split_first() else { return Err(KeyCommandError::NotACommand) };
    let spawned =
        Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = spawned.map_err(KeyCommandError::Run)?;
    let result = read(&mut child, time);
    if result.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    result
}

fn read(child: &mut Child, time: Duration) -> Result<Zeroizing<String>, KeyCommandError> {
    let until = Instant::now() + time;
    let stdout = child.stdout.take().ok_or_else(|| KeyCommandError::Run(io::ErrorKind::BrokenPipe.into()))?;
    let (tell, told) = channel();
    // Not waited for: whoever holds the other end of the pipe could keep it open for ever.
    std::thread::spawn(move || {
        let mut printed = Zeroizing::new(Vec::with_capacity(MOST_BYTES + 1));
        let read = stdout.take(MOST_BYTES as u64 + 1).read_to_end(&mut printed);
        let _ = tell.send(read.map(|_| printed));
    });
    let printed = match told.recv_timeout(time) {
        Ok(printed) => printed.map_err(KeyCommandError::Run)?,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(KeyCommandError::TooLong),
    };
    if printed.len() > MOST_BYTES {
        return Err(KeyCommandError::TooMuch);
    }
    let status = loop {
        if let Some(status) = child.try_wait().map_err(KeyCommandError::Run)? {
            break status;
        }
        if Instant::now() > until {
            return Err(KeyCommandError::TooLong);
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    if !status.success() {
        return Err(KeyCommandError::Failed(status));
    }
    let text = std::str::from_utf8(&printed).map_err(|_| KeyCommandError::NotText)?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn gives_what_the_command_printed() {
        assert_eq!(*run("printf 'a b\\nc'").unwrap(), "a b\nc");
        assert_eq!(*run("sh -c 'echo told; echo \"not told\" >&2'").unwrap(), "told\n");
        // No shell looks at it.
        assert_eq!(*run("echo '$HOME' \"*\" a;b").unwrap(), "$HOME * a;b\n");
    }

    #[test]
    fn a_command_that_goes_wrong_gives_nothing() {
        assert!(matches!(run(""), Err(KeyCommandError::NotACommand)));
        assert!(matches!(run("echo 'a"), Err(KeyCommandError::NotACommand)));
        assert!(matches!(run("/nonexistent/program"), Err(KeyCommandError::Run(_))));
        let failed = run("sh -c 'echo SECRET; exit 3'").unwrap_err();
        assert!(matches!(failed, KeyCommandError::Failed(_)) && !format!("{failed:?} {failed}").contains("SECRET"));
        assert!(matches!(run("head -c 20000 /dev/zero"), Err(KeyCommandError::TooMuch)));
        assert!(matches!(run("cat /dev/zero"), Err(KeyCommandError::TooMuch)), "not read to its end");
        assert!(matches!(run("printf '\\377'"), Err(KeyCommandError::NotText)));
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        for command in ["sleep 60", "sh -c 'exec >&-; sleep 60'", "sh -c 'sleep 60 & echo told'"] {
            let begun = Instant::now();
            let error = run_within(command, Duration::from_millis(300)).unwrap_err();
            assert!(matches!(error, KeyCommandError::TooLong), "{command}: {error}");
            assert!(begun.elapsed() < Duration::from_secs(10));
        }
    }
}
