//! Who is before the screen: their password and their one-time codes, from a file, the environment or the terminal.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::{Path, PathBuf};

use clap::Args;
use secret::SecretString;
use vault_client::problem::Code;
use vault_client::{Error, Presence};

use super::{HttpClient, explain};
use crate::failure::{Failure, Outcome};
use crate::{output, prompt, secrets};

const PASSWORD_VARIABLE: &str = "KEYHAVEN_ACCOUNT_PASSWORD";
const NEW_PASSWORD_VARIABLE: &str = "KEYHAVEN_NEW_ACCOUNT_PASSWORD";
const CODE_VARIABLE: &str = "KEYHAVEN_CODE";
/// How often a mistyped code may be typed again.
const TRIES: usize = 3;

/// Password and one-time code of the account. Without these: the environment, then the terminal.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Account")]
pub(crate) struct PersonArgs {
    /// File with the account's password (`-`: standard input; else KEYHAVEN_ACCOUNT_PASSWORD, else it is asked for)
    #[arg(long, value_name = "FILE")]
    pub(crate) account_password_file: Option<PathBuf>,
    /// File with one-time codes, one per line, read as they are needed (`-`: standard input; else KEYHAVEN_CODE)
    #[arg(long, value_name = "FILE")]
    pub(crate) code_file: Option<PathBuf>,
}

impl PersonArgs {
    /// Ready to be asked.
    pub(crate) fn person(&self) -> Outcome<Person> {
        let is_stdin = |path: &Option<PathBuf>| path.as_ref().is_some_and(|path| path.as_os_str() == "-");
        if is_stdin(&self.account_password_file) && is_stdin(&self.code_file) {
            return Err(Failure::could_not("password and code cannot both come from standard input"));
        }
        let codes = match &self.code_file {
            Some(path) if path.as_os_str() == "-" => Codes::Lines(Box::new(BufReader::new(stdin()))),
            // Not opened yet: a pipe would hold everything up until somebody writes codes, which they may only know later.
            Some(path) => {
                path.metadata().map_err(|error| unreadable(path, &error))?;
                Codes::File(path.clone())
            }
            None => match secrets::variable(CODE_VARIABLE)? {
                Some(code) => Codes::Once(Some(code)),
                None => Codes::Terminal,
            },
        };
        Ok(Person { arguments: self.clone(), codes, password: None, confirms_by_mail: false })
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::could_not(format!("cannot read {}", path.display())).because(error)
}

/// Where codes come from.
enum Codes {
    File(PathBuf),
    Lines(Box<dyn BufRead>),
    Once(Option<SecretString>),
    Terminal,
}

/// Somebody who can be asked.
pub(crate) struct Person {
    arguments: PersonArgs,
    codes: Codes,
    password: Option<SecretString>,
    confirms_by_mail: bool,
}

impl Person {
    /// Signed in to an account there: where it asks for no second factor, its codes come by mail, and the client asks for
    /// them once they are sent.
    pub(crate) fn at(self, client: &HttpClient) -> Self {
        Self { confirms_by_mail: client.confirms_by_mail().unwrap_or(false), ..self }
    }

    /// The account's password; asked for once.
    pub(crate) fn password(&mut self) -> Outcome<SecretString> {
        if let Some(password) = &self.password {
            return Ok(password.clone());
        }
        let password = match self.given_password()? {
            Some(password) => password,
            None => prompt::secret("password of the account")
                .map_err(|failure| failure.hint(format!("use --account-password-file or set {PASSWORD_VARIABLE}")))?,
        };
        self.password = Some(password.clone());
        Ok(password)
    }

    /// A password for a new account: typed twice, and not an easy one.
    pub(crate) fn new_password(&mut self, email: &str) -> Outcome<SecretString> {
        let ways = format!("use --account-password-file or set {PASSWORD_VARIABLE}");
        let password = chosen_password(self.given_password()?, email, ways)?;
        self.password = Some(password.clone());
        Ok(password)
    }

    /// The same beside the account's present password.
    pub(crate) fn other_new_password(&self, email: &str, file: Option<&Path>) -> Outcome<SecretString> {
        let is_stdin = |path: &PathBuf| path.as_os_str() == "-";
        let others = [&self.arguments.account_password_file, &self.arguments.code_file];
        if file.is_some_and(|path| path.as_os_str() == "-") && others.into_iter().flatten().any(is_stdin) {
            return Err(Failure::could_not("only one of the secrets can come from standard input"));
        }
        let given = match file {
            Some(path) => Some(secrets::password_from(path)?),
            None => secrets::variable(NEW_PASSWORD_VARIABLE)?,
        };
        let password =
            chosen_password(given, email, format!("use --new-account-password-file or set {NEW_PASSWORD_VARIABLE}"))?;
        if self.password.as_ref() == Some(&password) {
            return Err(Failure::no("the new password is the present one").hint("choose another"));
        }
        Ok(password)
    }

    fn given_password(&self) -> Outcome<Option<SecretString>> {
        match &self.arguments.account_password_file {
            Some(path) => secrets::password_from(path).map(Some),
            None => secrets::variable(PASSWORD_VARIABLE),
        }
    }

    /// The next one-time code.
    pub(crate) fn code(&mut self, question: &str) -> Outcome<SecretString> {
        if let Codes::File(path) = &self.codes {
            let file = File::open(path).map_err(|error| unreadable(path, &error))?;
            self.codes = Codes::Lines(Box::new(BufReader::new(file.take(4096))));
        }
        match &mut self.codes {
            Codes::File(path) => Err(Failure::could_not(format!("{} is not open", path.display()))),
            Codes::Terminal => prompt::secret(question)
                .map_err(|failure| failure.hint(format!("use --code-file or set {CODE_VARIABLE}"))),
            Codes::Once(code) => code
                .take()
                .ok_or_else(|| Failure::could_not(format!("{CODE_VARIABLE} holds one code, and another is needed"))),
            Codes::Lines(lines) => {
                let mut line = String::with_capacity(64);
                let read = lines.read_line(&mut line);
                let line = SecretString::new(line);
                match read {
                    Ok(0) => Err(Failure::could_not("there is no further code in the file of codes")),
                    Ok(_) => Ok(SecretString::from(line.expose().trim())),
                    Err(error) => Err(Failure::could_not("cannot read the file of codes").because(&error)),
                }
            }
        }
    }

    /// A code that confirms an act; empty where one will be mailed.
    pub(crate) fn fresh_code(&mut self, question: &str) -> Outcome<SecretString> {
        if self.confirms_by_mail { Ok(SecretString::from("")) } else { self.code(question) }
    }

    /// Whether the code was mistyped by somebody at a terminal, who is told and may type another one.
    pub(crate) fn may_correct(&self, error: &Error, tries: &mut usize) -> bool {
        let mistyped = error.is(Code::FactorCodeWrong) || error.is(Code::FactorCodeUsed);
        *tries += 1;
        if !mistyped || *tries >= TRIES || !matches!(self.codes, Codes::Terminal) {
            return false;
        }
        let failure = explain(error);
        output::note(&format!("{}; {}", failure.error, failure.hint.unwrap_or_default()));
        true
    }

    /// Does something that needs the password and a fresh code.
    pub(crate) fn confirm<R>(&mut self, mut act: impl FnMut(&Presence) -> Result<R, Error>) -> Outcome<R> {
        let password = self.password()?;
        let mut tries = 0;
        loop {
            let code = self.fresh_code("code of your authenticator, or a backup code")?;
            match act(&Presence { password: password.clone(), code }) {
                Err(error) if self.may_correct(&error, &mut tries) => {}
                done => return done.map_err(|error| explain(&error)),
            }
        }
    }
}

fn chosen_password(given: Option<SecretString>, email: &str, ways: String) -> Outcome<SecretString> {
    let typed = given.is_none();
    let password = match given {
        Some(password) => password,
        None => prompt::secret("new password of the account").map_err(|failure| failure.hint(ways))?,
    };
    check_strength(&password, email)?;
    if typed && prompt::secret("the same password again")? != password {
        return Err(Failure::no("the two passwords differ").hint("run it again"));
    }
    Ok(password)
}

/// Refuses what a guesser tries first: whoever has the server's database and keys can try guesses.
fn check_strength(password: &SecretString, email: &str) -> Outcome {
    let strength = zxcvbn::zxcvbn(password.expose(), &[email, "keyhaven", "bitlocker"]);
    if strength.score() >= zxcvbn::Score::Three {
        return Ok(());
    }
    Err(Failure::no("this password is too easy to guess")
        .cause("it protects every recovery key in the account, even from whoever runs the service")
        .hint("take a longer one: four or five random words do well"))
}
