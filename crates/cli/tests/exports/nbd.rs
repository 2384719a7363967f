//! `export nbd`, judged by libnbd and QEMU.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{Bench, pattern};
use crate::running::Running;

const OPEN: &str = "--password-file password";

/// Runs another program in the folder of the bench.
fn tool(bench: &Bench, program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).current_dir(bench.folder.path()).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?} says no: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn plain(bench: &Bench) -> Vec<u8> {
    let path = bench.path("plain");
    let _ = std::fs::remove_file(&path);
    bench.run(&format!("decrypt d.img --output plain {OPEN}")).text();
    std::fs::read(path).unwrap()
}

fn uri(running: &Running) -> String {
    running.report["uri"].as_str().unwrap().to_owned()
}

#[test]
fn other_programs_read_what_decrypt_gives() {
    if !testkit::programs(&["nbdinfo", "nbdcopy", "qemu-img"]) {
        return;
    }
    let bench = Bench::with_drive();
    let expected = plain(&bench);
    for (listen, more) in [("--socket s.sock", ""), ("--listen 127.0.0.1:0", ""), ("--listen [::1]:0", "--json")] {
        let running = Running::start(&bench, &format!("export nbd d.img {listen} {OPEN} {more}"));
        let uri = uri(&running);
        let info = said(&tool(&bench, "nbdinfo", &[&uri]));
        for line in ["is_read_only: true", "can_flush: true", "can_multi_conn: true", "block_size_maximum: 33554432"] {
            assert!(info.contains(line), "{info}");
        }
        assert!(info.contains(&format!("export-size: {}", expected.len())), "{info}");
        assert!(said(&tool(&bench, "nbdinfo", &["--list", &uri])).contains("export=\"volume\""));
        tool(&bench, "nbdcopy", &[&uri, "copied"]);
        assert!(std::fs::read(bench.path("copied")).unwrap() == expected);
        let compared = tool(&bench, "qemu-img", &["compare", "-f", "raw", "-F", "raw", "plain", &uri]);
        assert!(said(&compared).contains("identical"));
        running.terminate();
        assert!(!bench.path("s.sock").exists());
    }
}

#[test]
fn what_other_programs_write_is_on_the_drive() {
    if !testkit::programs(&["nbdcopy", "qemu-io"]) {
        return;
    }
    let bench = Bench::with_drive();
    let mut expected = plain(&bench);
    let running = Running::start(&bench, &format!("export nbd d.img --write --socket s.sock {OPEN}"));
    let uri = uri(&running);
    let io = |command: &str| said(&tool(&bench, "qemu-io", &["-f", "raw", "-c", command, &uri]));
    io("write -P 0x5a 20000256 1000000");
    expected[20_000_256..21_000_256].fill(0x5a);
    io("write -f -P 0xa5 51000000 4096");
    expected[51_000_000..51_004_096].fill(0xa5);
    io("write -z 21000000 8192");
    expected[21_000_000..21_008_192].fill(0);
    io("flush");
    assert!(io("read -P 0x5a 20000256 900000").contains("read 900000"));
    // Trimming is not offered; what was there stays.
    io("discard 20000256 4096");
    assert!(io("read -P 0x5a 20000256 4096").contains("read 4096"));

    // The whole volume at once, BitLocker's own regions as the zeros they show.
    let changed: Vec<u8> = expected.iter().zip(pattern(1 << 20).iter().cycle()).map(|(old, new)| old ^ new).collect();
    let mut whole = changed;
    for region in fve::Placement::choose(expected.len() as u64, 512, 0).unwrap().reserved() {
        let region = usize::try_from(region.start).unwrap()..usize::try_from(region.end).unwrap();
        whole[region.clone()].copy_from_slice(&expected[region]);
    }
    bench.file("whole", &whole);
    tool(&bench, "nbdcopy", &["--flush", "whole", &uri]);
    tool(&bench, "nbdcopy", &[&uri, "back"]);
    assert!(std::fs::read(bench.path("back")).unwrap() == whole);
    running.terminate();
    assert!(plain(&bench) == whole);
}

#[test]
fn a_completed_flush_survives_the_death_of_the_server() {
    if !testkit::programs(&["qemu-io"]) {
        return;
    }
    let bench = Bench::with_drive();
    let running = Running::start(&bench, &format!("export nbd d.img --write --socket s.sock {OPEN}"));
    let uri = uri(&running);
    tool(&bench, "qemu-io", &["-f", "raw", "-c", "write -P 0x77 20000256 70000", "-c", "flush", &uri]);
    running.kill();
    assert!(plain(&bench)[20_000_256..20_070_256].iter().all(|byte| *byte == 0x77));
    // The socket of a dead server is replaced.
    Running::start(&bench, &format!("export nbd d.img --socket s.sock {OPEN}")).terminate();
}

#[test]
fn only_its_owner_can_connect_to_a_socket() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::with_drive();
    let running = Running::start(&bench, &format!("export nbd d.img --socket s.sock {OPEN}"));
    assert_eq!(bench.path("s.sock").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let second = bench.run(&format!("export nbd d.img --socket s.sock {OPEN}"));
    assert!(second.refused(2).contains("another server listens"), "{}", second.stderr);
    let file = bench.run(&format!("export nbd d.img --socket password {OPEN}"));
    assert!(file.refused(2).contains("is not a socket"), "{}", file.stderr);
    // Those who tidy up folders of temporary files take the socket; the end comes all the same.
    std::fs::remove_file(bench.path("s.sock")).unwrap();
    running.terminate();
    let open = bench.run(&format!("export nbd d.img --listen 0.0.0.0:0 {OPEN}"));
    assert!(open.refused(1).contains("other computers"), "{}", open.stderr);
}

#[test]
fn with_tls_clients_show_who_they_are() {
    if !testkit::programs(&["openssl", "nbdinfo", "nbdcopy"]) {
        return;
    }
    let bench = Bench::with_drive();
    let expected = plain(&bench);
    certificates(&bench);
    let tls = "--tls-cert server-cert.pem --tls-key server-key.pem --tls-client-ca client/ca-cert.pem";
    let running = Running::start(&bench, &format!("export nbd d.img --write --listen 127.0.0.1:0 {tls} {OPEN}"));
    let address = running.report["address"].as_str().unwrap().to_owned();
    let port = address.rsplit(':').next().unwrap();
    let uri = |folder: &str| format!("nbds://localhost:{port}/?tls-certificates={}", bench.path(folder).display());
    assert!(said(&tool(&bench, "nbdinfo", &[&uri("client")])).contains("newstyle-fixed with TLS"));
    tool(&bench, "nbdcopy", &[&uri("client"), "copied"]);
    assert!(std::fs::read(bench.path("copied")).unwrap() == expected);
    // The other way round, long writes and several connections at once.
    tool(&bench, "nbdcopy", &["--flush", "copied", &uri("client")]);
    tool(&bench, "nbdcopy", &[&uri("client"), "again"]);
    assert!(std::fs::read(bench.path("again")).unwrap() == expected);
    // Without a certificate, with one by somebody else, and without TLS.
    let refused = |uri: &str| !Command::new("nbdinfo").arg(uri).output().unwrap().status.success();
    assert!(refused(&uri("nobody")));
    assert!(refused(&uri("stranger")));
    assert!(refused(&format!("nbd://localhost:{port}/")));
    tool(&bench, "nbdinfo", &[&uri("client")]);
    running.terminate();

    let broken = bench.run(&format!("export nbd d.img --tls-cert password --tls-key server-key.pem {OPEN}"));
    assert!(broken.refused(2).contains("the certificate cannot be used"), "{}", broken.stderr);
}

/// An authority, a server, a client, a client without a certificate, and one of another authority.
fn certificates(bench: &Bench) {
    for folder in ["client", "nobody", "stranger"] {
        std::fs::create_dir(bench.path(folder)).unwrap();
    }
    let openssl = |words: &str| drop(tool(bench, "openssl", &words.split_whitespace().collect::<Vec<_>>()));
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for authority in ["client/ca", "stranger/other"] {
        openssl(&format!("req -x509 {key} -keyout {authority}-key.pem -out {authority}-cert.pem -days 2 -subj /CN=ca"));
    }
    bench.file("names", b"subjectAltName=DNS:localhost");
    for (who, authority) in
        [("server", "client/ca"), ("client/client", "client/ca"), ("stranger/client", "stranger/other")]
    {
        openssl(&format!("req {key} -keyout {who}-key.pem -out request.pem -subj /CN=localhost"));
        openssl(&format!(
            "x509 -req -in request.pem -CA {authority}-cert.pem -CAkey {authority}-key.pem -CAcreateserial \
             -out {who}-cert.pem -days 2 -extfile names"
        ));
    }
    let copy = |from: &Path, to: &Path| assert!(std::fs::copy(from, to).unwrap() > 0);
    for folder in ["nobody", "stranger"] {
        copy(&bench.path("client/ca-cert.pem"), &bench.path(&format!("{folder}/ca-cert.pem")));
    }
}
