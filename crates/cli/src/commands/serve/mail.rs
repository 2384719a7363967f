//! The mail server that notices to owners are handed to.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use secret::SecretString;
use vault_server::{Smtp, SmtpSecurity};

use crate::failure::{Failure, Outcome};
use crate::secrets;

/// Where mail goes.
#[derive(Debug, Args)]
pub(super) struct MailArgs {
    /// Mail server that notices are handed to, in place of --notices: smtps://HOST (TLS), smtp://HOST (STARTTLS), or
    /// smtp+plain://127.0.0.1 on this computer
    #[arg(long, global = true, value_name = "URL", env = "KEYHAVEN_SMTP", hide_env_values = true, value_parser = server)]
    smtp: Option<Server>,
    /// Address that mails come from; needed with --smtp
    #[arg(long, global = true, value_name = "ADDRESS", env = "KEYHAVEN_SMTP_FROM")]
    smtp_from: Option<String>,
    /// File with user name and password for the mail server, one line each (else KEYHAVEN_SMTP_USER and KEYHAVEN_SMTP_PASSWORD)
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, env = "KEYHAVEN_SMTP_CREDENTIALS_FILE")]
    smtp_credentials_file: Option<PathBuf>,
    /// Certificates in PEM that the mail server is checked with, instead of the public ones
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, env = "KEYHAVEN_SMTP_CA_FILE")]
    smtp_ca_file: Option<PathBuf>,
}

/// A mail server as it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    security: SmtpSecurity,
    host: String,
    port: u16,
}

impl MailArgs {
    /// The server, with its secrets.
    pub(super) fn smtp(&self) -> Outcome<Option<Smtp>> {
        let Some(Server { security, host, port }) = &self.smtp else { return Ok(None) };
        Ok(Some(Smtp {
            host: host.clone(),
            port: *port,
            security: *security,
            credentials: self.credentials()?,
            from: self.smtp_from.clone().unwrap_or_default(),
            ca_file: self.smtp_ca_file.clone(),
        }))
    }

    fn credentials(&self) -> Outcome<Option<(String, SecretString)>> {
        let Some(path) = &self.smtp_credentials_file else {
            let user = secrets::variable("KEYHAVEN_SMTP_USER")?;
            let password = secrets::variable("KEYHAVEN_SMTP_PASSWORD")?;
            return match (user, password) {
                (Some(user), Some(password)) => Ok(Some((user.expose().trim().to_owned(), password))),
                (None, None) => Ok(None),
                _ => Err(Failure::could_not("only one of KEYHAVEN_SMTP_USER and KEYHAVEN_SMTP_PASSWORD is set")
                    .hint("set both, or name a file with --smtp-credentials-file")),
            };
        };
        let bytes = secrets::read_secret_file(path)?;
        let mut lines = std::str::from_utf8(&bytes).unwrap_or_default().lines();
        match (lines.next(), lines.next()) {
            (Some(user), Some(password)) if !user.is_empty() => {
                Ok(Some((user.to_owned(), SecretString::from(password))))
            }
            _ => Err(Failure::could_not(format!("{} does not hold a user name and a password", path.display()))
                .hint("write the user name into its first line and the password into the second")),
        }
    }
}

/// Never repeats what it was given: a password may stand in it. Nor does the refusal (`crate::usage`).
fn server(url: &str) -> Result<Server, &'static str> {
    const FORM: &str = "it is smtps://HOST, smtp://HOST or smtp+plain://HOST, with :PORT where it is another one";
    let (scheme, rest) = url.split_once("://").ok_or(FORM)?;
    let (security, port) = match scheme {
        "smtps" => (SmtpSecurity::Tls, 465),
        "smtp" => (SmtpSecurity::StartTls, 587),
        "smtp+plain" => (SmtpSecurity::Plain, 25),
        _ => return Err(FORM),
    };
    let rest = rest.trim_end_matches('/');
    if rest.contains('@') {
        return Err("user name and password do not belong here: use --smtp-credentials-file");
    }
    let (host, port_text) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or_default())),
        None => rest.rsplit_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    let port = port_text.map_or(Ok(port), |text| text.parse().map_err(|_| FORM))?;
    if host.is_empty() { Err(FORM) } else { Ok(Server { security, host: host.to_owned(), port }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_by_scheme_host_and_port() {
        let named = |security, host: &str, port| Ok(Server { security, host: host.to_owned(), port });
        for (url, expected) in [
            ("smtps://mail.example.org", named(SmtpSecurity::Tls, "mail.example.org", 465)),
            ("smtp://mail.example.org/", named(SmtpSecurity::StartTls, "mail.example.org", 587)),
            ("smtp://mail.example.org:2525", named(SmtpSecurity::StartTls, "mail.example.org", 2525)),
            ("smtp+plain://127.0.0.1:1025", named(SmtpSecurity::Plain, "127.0.0.1", 1025)),
            ("smtp+plain://[::1]:1025", named(SmtpSecurity::Plain, "::1", 1025)),
            ("smtps://[::1]", named(SmtpSecurity::Tls, "::1", 465)),
        ] {
            assert_eq!(server(url), expected, "{url}");
        }
        let bad =
            ["", "mail.example.org", "https://mail.example.org", "smtp://", "smtp://host:port", "smtp://a:b@host"];
        for url in bad {
            assert!(server(url).is_err_and(|error| !error.contains("a:b")), "{url}");
        }
    }
}
