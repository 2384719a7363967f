//! Notices by mail: none is lost by a mail server that is down, slow or undecided, nothing else waits for it, and each goes out
//! once though several processes share the outbox.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use vault_client::Outcome;
use vault_server::{Server, Smtp, SmtpSecurity};

use crate::harness::{Owner, PASSWORD, Service, cancel_code, key_to_save, sign_in};

/// Takes every mail.
const WELL: u8 = 0;
/// Says that it is busy.
const BUSY: u8 = 1;
/// Takes the mail and breaks off before it says so.
const UNDECIDED: u8 = 2;
/// Takes the connection and says nothing.
const SILENT: u8 = 3;

/// A mail as it arrived.
#[derive(Debug, Clone)]
struct Mail {
    to: String,
    text: String,
}

impl Mail {
    fn header(&self, name: &str) -> &str {
        let prefix = format!("{name}: ");
        self.text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| panic!("{name}: {}", self.text))
    }
}

/// A small mail server that asks for a user name and a password.
struct MailServer {
    port: u16,
    mood: Arc<AtomicU8>,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl MailServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mood, mails) = (Arc::new(AtomicU8::new(WELL)), Arc::new(Mutex::new(Vec::new())));
        let (at_once, kept) = (Arc::clone(&mood), Arc::clone(&mails));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mood, mails) = (Arc::clone(&at_once), Arc::clone(&kept));
                std::thread::spawn(move || drop(converse(stream.unwrap(), &mood, &mails)));
            }
        });
        Self { port, mood, mails }
    }

    fn smtp(&self) -> Smtp {
        Smtp {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            security: SmtpSecurity::Plain,
            credentials: Some(("keyhaven".to_owned(), "mail password".into())),
            from: "Keyhaven <keys@example.org>".to_owned(),
            ca_file: None,
        }
    }

    fn is(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
    }

    fn count(&self) -> usize {
        self.mails.lock().unwrap().len()
    }

    /// Waits for so many mails.
    fn mails(&self, at_least: usize) -> Vec<Mail> {
        let begun = Instant::now();
        while self.count() < at_least {
            assert!(begun.elapsed() < Duration::from_secs(20), "{} of {at_least} mails", self.count());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.mails.lock().unwrap().clone()
    }
}

fn converse(stream: TcpStream, mood: &AtomicU8, mails: &Mutex<Vec<Mail>>) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    if mood.load(Ordering::SeqCst) == SILENT {
        while lines.next().is_some() {}
        return Ok(());
    }
    let (mut to, mut signed_in) = (String::new(), false);
    out.write_all(b"220 mail.example.org\r\n")?;
    while let Some(line) = lines.next() {
        let line = line?;
        let answer = match line.split_whitespace().next().unwrap_or_default() {
            "EHLO" => "250-mail.example.org\r\n250-8BITMIME\r\n250 AUTH PLAIN".to_owned(),
            "AUTH" => {
                signed_in = line.ends_with(&data_encoding::BASE64.encode(b"\0keyhaven\0mail password"));
                if signed_in { "235 welcome" } else { "535 who are you" }.to_owned()
            }
            "RCPT" if !signed_in => "530 sign in first".to_owned(),
            "RCPT" if mood.load(Ordering::SeqCst) == BUSY => "451 later".to_owned(),
            "RCPT" => {
                to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                "250 fine".to_owned()
            }
            "DATA" => {
                out.write_all(b"354 go on\r\n")?;
                let mut text = String::new();
                for line in lines.by_ref() {
                    let line = line?;
                    if line == "." {
                        break;
                    }
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    text.push('\n');
                }
                mails.lock().unwrap().push(Mail { to: to.clone(), text });
                if mood.load(Ordering::SeqCst) == UNDECIDED {
                    return Ok(());
                }
                "250 taken".to_owned()
            }
            "QUIT" => "221 bye".to_owned(),
            _ => "250 fine".to_owned(),
        };
        out.write_all(format!("{answer}\r\n").as_bytes())?;
    }
    Ok(())
}

fn saves(owner: &Owner) {
    assert!(matches!(owner.client().save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
}

#[test]
fn a_notice_is_mailed_once_and_to_its_owner() {
    let server = MailServer::start();
    let service = Service::with_smtp(server.smtp());
    let owner = service.account("ada@example.org");
    owner.client().begin_two_factor_off(&owner.presence()).unwrap();
    let mails = server.mails(2);
    let announced = mails.iter().find(|mail| mail.header("Subject").contains("second factor was added")).unwrap();
    assert_eq!((announced.to.as_str(), announced.header("To")), ("ada@example.org", "ada@example.org"));
    assert_eq!(announced.header("From"), "Keyhaven <keys@example.org>");
    assert!(announced.header("Message-ID").ends_with("@example.org>"));
    // The code arrives whole, whatever was done to long lines, and cancels.
    let begun = mails.iter().find(|mail| mail.header("Subject").contains("stop asking")).unwrap();
    service.computer().client.cancel_wait_with_code(&cancel_code(&begun.text)).unwrap();
    server.mails(3);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(server.count(), 3, "none goes out twice");
}

#[test]
fn a_dead_mail_server_loses_nothing_and_holds_nothing_up() {
    let server = MailServer::start();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut service = Service::with_smtp(Smtp { port: dead, ..server.smtp() });
    let owner = service.enrolled("ada@example.org");
    for _ in 0..3 {
        let begun = Instant::now();
        saves(&owner);
        owner.sign_in(&service.computer().client).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        service.clock.advance_ms(60_000);
    }
    owner.client().change_password(&owner.presence(), "nine tall herons by the water".into()).unwrap();
    assert_eq!(server.count(), 0);
    // The service starts again with a mail server that lives, and the notices are still there.
    service.stop();
    service.smtp(server.smtp());
    service.run();
    service.clock.advance_ms(3_600_000);
    let subjects: Vec<_> = server.mails(3).iter().map(|mail| mail.header("Subject").to_owned()).collect();
    for expected in ["A second factor was added", "A computer was enrolled", "Your password was changed"] {
        assert!(subjects.iter().any(|subject| subject == expected), "{subjects:?}");
    }
}

#[test]
fn what_could_not_be_announced_does_not_happen() {
    let server = MailServer::start();
    server.is(BUSY);
    let service = Service::with_smtp(server.smtp());
    let owner = service.enrolled("ada@example.org");
    owner.client().begin_two_factor_off(&owner.presence()).unwrap();
    service.clock.advance_ms(25 * 3_600_000);
    // The factor is asked for as ever.
    owner.sign_in(owner.client()).unwrap();
    let account = owner.client().account().unwrap();
    assert_eq!((account.two_factor, account.off_at), (true, None));
    assert!(owner.client().waits().unwrap().is_empty());
    let trail = owner.client().audit_trail().unwrap().entries;
    let off: Vec<_> = trail.iter().map(|it| it.action.as_str()).filter(|it| it.starts_with("factors_off")).collect();
    assert_eq!(off, ["factors_off_begun", "factors_off_lapsed"]);
    saves(&owner);
    // What waits goes out now, without the announcement of what did not happen.
    server.is(WELL);
    service.clock.advance_ms(3_600_000);
    let subject = |mail: &Mail| mail.header("Subject").to_owned();
    let begun = Instant::now();
    while !server.mails(1).iter().any(|mail| subject(mail).contains("goes on asking")) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", server.mails(1));
        std::thread::sleep(Duration::from_millis(50));
    }
    let announced = || server.mails(1).iter().filter(|mail| subject(mail).contains("stop asking")).count();
    assert_eq!(announced(), 0);
    // One that is announced comes true.
    owner.sign_in(owner.client()).unwrap();
    owner.client().begin_two_factor_off(&owner.presence()).unwrap();
    let begun = Instant::now();
    while announced() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(300));
    service.clock.advance_ms(25 * 3_600_000);
    let phone = service.computer();
    phone.client.sign_in(&owner.email, PASSWORD.into(), &mut |_| panic!("no factor to ask for")).unwrap();
    assert!(!phone.client.account().unwrap().two_factor);
}

#[test]
fn a_busy_server_is_tried_again_later_each_time() {
    let server = MailServer::start();
    server.is(BUSY);
    let service = Service::with_smtp(server.smtp());
    service.account("ada@example.org");
    std::thread::sleep(Duration::from_millis(1500));
    server.is(WELL);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(server.count(), 0, "not before the pause is over");
    service.clock.advance_ms(5_000);
    assert_eq!(server.mails(1).len(), 1);
}

#[test]
fn a_mail_whose_fate_is_unknown_comes_again_under_the_same_name() {
    let server = MailServer::start();
    server.is(UNDECIDED);
    let service = Service::with_smtp(server.smtp());
    service.account("ada@example.org");
    server.mails(1);
    server.is(WELL);
    // The failure is noted after the server broke off.
    std::thread::sleep(Duration::from_millis(500));
    service.clock.advance_ms(10_000);
    let mails = server.mails(2);
    assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(server.count(), 2);
}

#[test]
fn a_silent_server_holds_up_neither_people_nor_the_end_of_the_service() {
    let server = MailServer::start();
    server.is(SILENT);
    let mut service = Service::with_smtp(server.smtp());
    let owner = service.enrolled("ada@example.org");
    let begun = Instant::now();
    saves(&owner);
    sign_in(&service.computer().client, &owner.email, PASSWORD, &owner.fresh_code()).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let begun = Instant::now();
    service.stop();
    assert!(begun.elapsed() < Duration::from_secs(45), "{:?}", begun.elapsed());
    server.is(WELL);
    service.run();
    service.clock.advance_ms(600_000);
    assert!(!server.mails(1).is_empty());
}

#[test]
fn a_wrong_mail_password_loses_nothing() {
    let server = MailServer::start();
    let wrong = Smtp { credentials: Some(("keyhaven".to_owned(), "another".into())), ..server.smtp() };
    let mut service = Service::with_smtp(wrong);
    service.account("ada@example.org");
    std::thread::sleep(Duration::from_millis(1500));
    service.stop();
    service.smtp(server.smtp());
    service.run();
    service.clock.advance_ms(3_600_000);
    assert_eq!(server.mails(1).len(), 1);
}

#[test]
fn several_processes_share_one_outbox() {
    let server = MailServer::start();
    let service = Service::with_smtp(server.smtp());
    let owner = service.account("ada@example.org");
    // A second and a third process on the same database.
    let others: Vec<_> = (0..2)
        .map(|_| {
            let (config, clock) = (service.config(), service.clock.clone());
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let thread = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let listen = "127.0.0.1:0".parse().unwrap();
                    let server = Server::open_with_clock(config, listen, clock).await.unwrap();
                    server.serve(async { drop(stopped.await) }).await.unwrap();
                });
            });
            (stop, thread)
        })
        .collect();
    const REVEALS: usize = 9;
    let device = owner.client().enrol_this_computer("PC", &owner.presence());
    device.unwrap();
    let (_, record) = owner.save_one();
    for _ in 0..REVEALS {
        owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
    }
    // The factor, the device, and each reveal.
    let mails = server.mails(2 + REVEALS);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(server.count(), 2 + REVEALS);
    let names: std::collections::BTreeSet<_> = mails.iter().map(|mail| mail.header("Message-ID").to_owned()).collect();
    assert_eq!(names.len(), 2 + REVEALS);
    for (stop, thread) in others {
        drop(stop);
        thread.join().unwrap();
    }
}

#[test]
fn neither_database_nor_log_of_it_shows_who_is_written_to_and_what() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = MailServer::start();
    let mut service = Service::with_smtp(Smtp { port: dead, ..server.smtp() });
    let owner = service.account("ada@example.org");
    owner.client().begin_two_factor_off(&owner.presence()).unwrap();
    let start = serde_json::json!({ "email": "ada@example.org" });
    service.raw(vault_client::Method::Post, vault_protocol::routes::RECOVER_START, None, &start);
    service.stop();
    let bytes: Vec<u8> = ["vault.sqlite", "vault.sqlite-wal"]
        .iter()
        .flat_map(|name| std::fs::read(service.folder.path().join(name)).unwrap_or_default())
        .collect();
    service.smtp(server.smtp());
    service.run();
    service.clock.advance_ms(30_000);
    let mails = server.mails(3);
    let begun = mails.iter().find(|mail| mail.header("Subject").contains("stop asking")).unwrap();
    let recovery = mails.iter().find(|mail| mail.header("Subject") == "Your Keyhaven code").unwrap();
    let code = recovery.text.lines().map(str::trim).find(|line| line.len() == 6 && !line.contains(':')).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!holds(&cancel_code(&begun.text)) && !holds(&cancel_code(&begun.text).replace('-', "")));
    assert!(!holds("Your Keyhaven code") && !holds(&format!("  {code}\n")));
}

#[test]
fn a_code_that_is_too_late_is_not_sent() {
    let server = MailServer::start();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut service = Service::with_smtp(Smtp { port: dead, ..server.smtp() });
    service.account("ada@example.org");
    let start = serde_json::json!({ "email": "ada@example.org" });
    service.raw(vault_client::Method::Post, vault_protocol::routes::RECOVER_START, None, &start);
    service.stop();
    service.clock.advance_ms(11 * 60_000);
    service.smtp(server.smtp());
    service.run();
    let mails = server.mails(1);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!((server.count(), mails[0].header("Subject")), (1, "A second factor was added"));
}

/// Another implementation's mail server: it asks for TLS, by STARTTLS or from the first byte, and then for user name and
/// password; keeps each mail in a file.
const OTHER_SERVER: &str = r#"
import asyncio, pathlib, ssl, sys
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
folder, implicit = pathlib.Path(sys.argv[1]), sys.argv[2] == "tls"
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
class Keep:
    n = 0
    async def handle_DATA(self, server, session, envelope):
        Keep.n += 1
        (folder / f"{Keep.n}.part").write_bytes(envelope.content)
        (folder / f"{Keep.n}.part").rename(folder / f"{Keep.n}.eml")
        return "250 taken"
def who(server, session, envelope, mechanism, data):
    fits = (data.login, data.password) == (b"keyhaven", b"mail password")
    return AuthResult(success=fits)
words = dict(authenticator=who, auth_required=True, auth_require_tls=not implicit)
if implicit:
    controller = Controller(Keep(), hostname="127.0.0.1", port=0, ssl_context=context, **words)
else:
    controller = Controller(Keep(), hostname="127.0.0.1", port=0, tls_context=context, require_starttls=True, **words)
async def main():
    server = await asyncio.get_running_loop().create_server(controller.factory, host="127.0.0.1", port=0,
        ssl=context if implicit else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(120)
asyncio.run(main())
"#;

#[test]
fn another_implementations_mail_server_takes_mails_over_tls() {
    let Some(python) = testkit::judges_python("aiosmtpd") else { return };
    if !testkit::programs(&["openssl"]) {
        return;
    }
    for (word, security) in [("starttls", SmtpSecurity::StartTls), ("tls", SmtpSecurity::Tls)] {
        let folder = tempfile::tempdir().unwrap();
        let made = std::process::Command::new("openssl")
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split(' '))
            .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut server = std::process::Command::new(&python)
            .args(["-c", OTHER_SERVER])
            .arg(folder.path())
            .arg(word)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let smtp = Smtp {
            host: "localhost".to_owned(),
            port: port.trim().parse().unwrap(),
            security,
            credentials: Some(("keyhaven".to_owned(), "mail password".into())),
            from: "keys@example.org".to_owned(),
            ca_file: Some(folder.path().join("cert.pem")),
        };
        // One that is not trusted gets nothing.
        let mut service = Service::with_smtp(Smtp { ca_file: None, ..smtp.clone() });
        service.account("ada@example.org");
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!folder.path().join("1.eml").exists(), "{word}");
        service.stop();
        service.smtp(smtp);
        service.run();
        service.clock.advance_ms(60_000);
        let begun = Instant::now();
        while !folder.path().join("1.eml").exists() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{word}: no mail");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mail = std::fs::read_to_string(folder.path().join("1.eml")).unwrap();
        assert!(mail.contains("Subject: A second factor was added") && mail.contains("To: ada@example.org"), "{mail}");
        server.kill().unwrap();
        server.wait().unwrap();
    }
}
