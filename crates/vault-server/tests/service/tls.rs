//! TLS of the service's own, judged by other implementations.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vault_server::{Acme, Server, StartError, Tls, TlsError};

use crate::harness::Service;

/// The name that certificates are for.
const NAME: &str = "keys.test";

fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()
}

/// A certificate that signed itself, and its key.
struct Pair {
    folder: TempDir,
}

impl Pair {
    fn new(name: &str) -> Option<Self> {
        let pair = Self { folder: tempfile::tempdir().unwrap() };
        // Not an authority: some programs take none for a server.
        let config = format!(
            "[req]\ndistinguished_name = name\nx509_extensions = more\nprompt = no\n[name]\nCN = {name}\n[more]\n\
             basicConstraints = critical, CA:FALSE\nsubjectAltName = DNS:{name}, DNS:localhost, IP:127.0.0.1\n"
        );
        let config_file = pair.folder.path().join("certificate.conf");
        std::fs::write(&config_file, config).unwrap();
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "30",
            ])
            .arg("-config")
            .arg(config_file)
            .arg("-keyout")
            .arg(pair.key())
            .arg("-out")
            .arg(pair.certificate())
            .stdin(Stdio::null())
            .output()
            .ok()?;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(pair)
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    fn tls(&self) -> Tls {
        Tls::Files { certificate: self.certificate(), key: self.key() }
    }

    fn service(&self) -> Service {
        let tls = self.tls();
        Service::configured(move |config| {
            config.network.tls = Some(tls.clone());
            config.network.head_time = Duration::from_secs(2);
        })
    }
}

fn curl(address: SocketAddr, authority: &Path, more: &[&str]) -> Option<Output> {
    let (port, authority) = (address.port(), authority.display().to_string());
    let resolve = format!("{NAME}:{port}:127.0.0.1");
    let url = format!("https://{NAME}:{port}/health");
    let fixed = [
        "--silent",
        "--show-error",
        "--max-time",
        "20",
        "--noproxy",
        "*",
        "--cacert",
        &authority,
        "--resolve",
        &resolve,
    ];
    run("curl", &[&fixed[..], more, &[&url]].concat())
}

/// The certificate that is shown, by its serial number.
fn serial_shown(address: SocketAddr) -> String {
    let script = format!(
        "openssl s_client -connect {address} -servername {NAME} </dev/null 2>/dev/null | openssl x509 -noout -serial"
    );
    text(&run("sh", &["-c", &script]).unwrap())
}

fn serial_of(pair: &Pair) -> String {
    text(&run("openssl", &["x509", "-noout", "-serial", "-in", pair.certificate().to_str().unwrap()]).unwrap())
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn skip() {
    testkit::skip("openssl and curl are not installed");
}

#[test]
fn other_programs_agree_on_tls_1_3_and_1_2_and_nothing_older() {
    let Some(pair) = Pair::new(NAME) else { return skip() };
    let service = pair.service();
    let ask = |more: &[&str]| curl(service.address(), &pair.certificate(), more);
    for version in [&["--tlsv1.3"][..], &["--tlsv1.2", "--tls-max", "1.2"]] {
        let Some(output) = ask(version) else { return skip() };
        assert_eq!(text(&output), "ok", "{version:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let old = ask(&["--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"]).unwrap();
    assert!(!old.status.success(), "TLS 1.1 was agreed on");
    let weak = ask(&["--tls-max", "1.2", "--ciphers", "AES128-SHA:ECDHE-ECDSA-AES128-SHA"]).unwrap();
    assert!(!weak.status.success(), "a cipher without authentication was agreed on");
    // Another authority's client does not take it, and without TLS there is no answer.
    let other = Pair::new(NAME).unwrap();
    assert!(!curl(service.address(), &other.certificate(), &[]).unwrap().status.success());
    let plain = run(
        "curl",
        &["--silent", "--max-time", "10", "--noproxy", "*", &format!("http://{}/health", service.address())],
    )
    .unwrap();
    assert!(!plain.status.success() && text(&plain) != "ok");
}

#[test]
fn the_hybrid_key_exchange_is_what_a_client_that_knows_it_gets() {
    let judges = std::env::var_os("KEYHAVEN_JUDGES").map(PathBuf::from);
    let python = judges.map(|folder| folder.join("bin/python")).filter(|python| python.exists());
    let Some(python) = python else { return testkit::skip("the judges are not set up") };
    let Some(pair) = Pair::new(NAME) else { return skip() };
    let service = pair.service();
    let script = "import socket, sys\nfrom OpenSSL import SSL\n\
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)\ncontext.load_verify_locations(sys.argv[2])\n\
        context.set_verify(SSL.VERIFY_PEER)\n\
        connection = SSL.Connection(context, socket.create_connection(('127.0.0.1', int(sys.argv[1]))))\n\
        connection.set_tlsext_host_name(b'keys.test')\nconnection.set_connect_state()\nconnection.do_handshake()\n\
        print(connection.get_protocol_version_name(), connection.get_group_name())\n\
        connection.send(b'GET /health HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n')\nprint(connection.recv(4096))\n";
    let judged = Command::new(&python)
        .args(["-c", script, &service.address().port().to_string()])
        .arg(pair.certificate())
        .output()
        .unwrap();
    if String::from_utf8_lossy(&judged.stderr).contains("No module named") {
        return testkit::skip("pyOpenSSL is not among the judges");
    }
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
    let told = text(&judged);
    assert!(told.starts_with("TLSv1.3 X25519MLKEM768") && told.contains("200 OK"), "{told}");
}

#[test]
fn a_new_certificate_comes_into_force_and_a_bad_one_does_not() {
    let (Some(first), Some(second)) = (Pair::new(NAME), Pair::new(NAME)) else { return skip() };
    let service = first.service();
    let before = serial_of(&first);
    assert_eq!(serial_shown(service.address()), before);
    // The key is still the old one: half of a change.
    std::fs::copy(second.certificate(), first.certificate()).unwrap();
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(serial_shown(service.address()), before, "the one before stays in force");
    std::fs::copy(second.key(), first.key()).unwrap();
    let begun = Instant::now();
    while serial_shown(service.address()) == before {
        assert!(begun.elapsed() < Duration::from_secs(20), "the new certificate was not taken");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(serial_shown(service.address()), serial_of(&second));
}

#[test]
fn a_silent_client_does_not_hold_a_connection() {
    let Some(pair) = Pair::new(NAME) else { return skip() };
    let service = pair.service();
    let mut silent = std::net::TcpStream::connect(service.address()).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let begun = Instant::now();
    let _ = std::io::Read::read(&mut silent, &mut [0; 16]);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn files_that_cannot_be_used_are_refused_at_the_start() {
    let (Some(pair), Some(other)) = (Pair::new(NAME), Pair::new(NAME)) else { return skip() };
    let folder = tempfile::tempdir().unwrap();
    let open = |tls: Tls| {
        let mut config = vault_server::Config::in_folder(folder.path());
        config.network.tls = Some(tls);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        match runtime.block_on(Server::open(config, "127.0.0.1:0".parse().unwrap())).map(drop) {
            Err(StartError::Tls(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let mixed = Tls::Files { certificate: pair.certificate(), key: other.key() };
    assert!(matches!(open(mixed), TlsError::Pair { .. }));
    let swapped = Tls::Files { certificate: pair.key(), key: pair.certificate() };
    assert!(matches!(open(swapped), TlsError::Content { .. }));
    let missing = Tls::Files { certificate: folder.path().join("none"), key: pair.key() };
    assert!(matches!(open(missing), TlsError::File { .. }));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(pair.key(), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(open(pair.tls()), TlsError::Permissions { mode: 0o640, .. }));
    }
}

/// A process that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An authority that speaks ACME, and the name server that it asks.
struct Authority {
    _processes: [Ends; 2],
    own: Pair,
    port: u16,
    roots_port: u16,
}

impl Authority {
    /// It looks at names on `tls_port` of this computer.
    fn start(tls_port: u16) -> Option<Self> {
        let own = Pair::new("localhost")?;
        let (port, roots_port, dns_port) = (free_port(), free_port(), free_port());
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"), "managementListenAddress": format!("127.0.0.1:{roots_port}"),
            "certificate": own.certificate(), "privateKey": own.key(), "httpPort": 1, "tlsPort": tls_port,
            "ocspResponderURL": "", "externalAccountBindingRequired": false,
        }});
        let file = own.folder.path().join("authority.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let dns = format!("127.0.0.1:{dns_port}");
        let mut names = Command::new("pebble-challtestsrv");
        names.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", &dns]);
        names.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", ""]);
        let mut authority = Command::new("pebble");
        authority.args(["-dnsserver", &dns, "-strict", "-config"]).arg(&file).env("PEBBLE_VA_NOSLEEP", "1");
        let start = |command: &mut Command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok().map(Ends)
        };
        let _processes = [start(&mut names)?, start(&mut authority)?];
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the authority does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Self { _processes, own, port, roots_port })
    }

    /// The root that its certificates lead to, in a file.
    fn root(&self) -> PathBuf {
        let url = format!("https://127.0.0.1:{}/roots/0", self.roots_port);
        let authority = self.own.certificate().display().to_string();
        let root = run("curl", &["--silent", "--noproxy", "*", "--cacert", &authority, &url]).unwrap();
        let file = self.own.folder.path().join("root.pem");
        std::fs::write(&file, &root.stdout).unwrap();
        file
    }
}

#[test]
fn a_certificate_is_ordered_from_an_authority_and_kept() {
    let port = free_port();
    let Some(authority) = Authority::start(port) else { return testkit::skip("pebble is not installed") };
    let acme = Acme {
        domains: vec![NAME.to_owned()],
        contact: Some("operator@example.org".to_owned()),
        directory: format!("https://localhost:{}/dir", authority.port),
        authority: Some(authority.own.certificate()),
    };
    let mut service = Service::configured_at(SocketAddr::from(([127, 0, 0, 1], port)), move |config| {
        config.origin = Some(format!("https://{NAME}"));
        config.network.tls = Some(Tls::Acme(acme.clone()));
    });
    let root = authority.root();
    wait_for_answer(&service, &root);
    let first = serial_shown(service.address());
    let kept = service.config().data_dir.join("acme");
    let files: Vec<_> = std::fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    #[cfg(unix)]
    for file in &files {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    // The next start needs no authority.
    service.stop();
    let Authority { _processes: processes, own: _own, .. } = authority;
    drop(processes);
    service.run();
    wait_for_answer(&service, &root);
    assert_eq!(serial_shown(service.address()), first);
}

fn wait_for_answer(service: &Service, root: &Path) {
    let begun = Instant::now();
    loop {
        let output = curl(service.address(), root, &[]).unwrap();
        if text(&output) == "ok" {
            return;
        }
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(begun.elapsed() < Duration::from_secs(60), "no certificate came: {why}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
