//! What `curl` and `cadaver` see, and what they are refused.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use export::MemoryTree;
use export_webdav::{Error, Password, Server, Stopper, USER};
use tempfile::TempDir;

struct Serving {
    address: SocketAddr,
    password: Password,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<(), Error>>>,
    folder: TempDir,
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index * 7919 % 251).unwrap()).collect()
}

fn tree() -> MemoryTree {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
    let tree = MemoryTree::new()
        .directory("deep")
        .directory("deep/er")
        .file("deep/er/file \u{e4}<&>\u{1f511} 100%.bin", pattern(3_000_000))
        .file("empty", Vec::new())
        .file("page.html", *b"<script>alert(1)</script>")
        .link("link", "empty")
        .other("other")
        .damaged_file("damaged", pattern(2 << 20), 1 << 20)
        .with("page.html", |entry| entry.times.modified = Some(then));
    (0..3000).fold(tree.directory("many"), |tree, index| tree.file(&format!("many/{index}"), Vec::new()))
}

impl Serving {
    fn start() -> Self {
        let password = Password::random().unwrap();
        let server = Server::bind(Arc::new(tree()), "127.0.0.1:0".parse().unwrap(), password.clone()).unwrap();
        let (address, stopper) = (server.address(), server.stopper());
        let thread = Some(std::thread::spawn(move || server.serve()));
        let folder = tempfile::tempdir().unwrap();
        // On the command line, every account could read it.
        fs::write(
            folder.path().join("netrc"),
            format!("machine 127.0.0.1 login {USER} password {}", password.expose()),
        )
        .unwrap();
        fs::write(folder.path().join("wrong"), format!("machine 127.0.0.1 login {USER} password wrong")).unwrap();
        Self { address, password, stopper, thread, folder }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Head and body of an answer to `curl` with the password.
    fn curl(&self, arguments: &[&str], path: &str) -> (String, Vec<u8>) {
        self.curl_by("netrc", arguments, path)
    }

    fn curl_by(&self, netrc: &str, arguments: &[&str], path: &str) -> (String, Vec<u8>) {
        let file = |name: &str| self.folder.path().join(name);
        let mut command = Command::new("curl");
        command.args(["-sS", "--path-as-is", "-D"]).arg(file("head")).arg("-o").arg(file("body"));
        let _ = fs::write(file("body"), "");
        command.arg("--netrc-file").arg(file(netrc)).args(arguments).arg(self.url(path));
        let output = command.output().unwrap();
        assert!(
            output.status.success() || output.status.code() == Some(18),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let heads = fs::read_to_string(file("head")).unwrap();
        let last = heads.trim_end().rsplit("\r\n\r\n").next().unwrap();
        (last.to_ascii_lowercase(), fs::read(file("body")).unwrap())
    }

    fn status(&self, arguments: &[&str], path: &str) -> u16 {
        status(&self.curl(arguments, path).0)
    }

    fn end(mut self) {
        self.stopper.stop();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn only_the_password_opens_and_only_under_its_own_name() {
    if !testkit::programs(&["curl"]) {
        return;
    }
    let serving = Serving::start();
    for scheme in ["--basic", "--digest", "--anyauth"] {
        assert_eq!(serving.status(&[scheme], "/empty"), 200, "{scheme}");
        let (head, _) = serving.curl_by("wrong", &[scheme], "/empty");
        assert_eq!(status(&head), 401, "{scheme}");
        assert!(head.contains("www-authenticate: digest realm=") && head.contains("www-authenticate: basic realm="));
    }
    fs::write(serving.folder.path().join("nobody"), "").unwrap();
    for path in ["/", "/empty", "/nothing", "/../x", "/%00"] {
        let (head, body) = serving.curl_by("nobody", &[], path);
        assert_eq!((status(&head), body.as_slice()), (401, b"The password is needed.\n".as_slice()), "{path}");
    }
    let port = serving.address.port();
    for (host, expected) in [
        (format!("localhost:{port}"), 200),
        ("evil.example".to_owned(), 421),
        (format!("evil.example:{port}"), 421),
        ("127.0.0.1".to_owned(), 421),
    ] {
        assert_eq!(serving.status(&["-H", &format!("Host: {host}")], "/empty"), expected, "{host}");
    }
    assert_eq!(serving.status(&["-H", "Host: evil.example", "-X", "OPTIONS"], "/"), 421);
    for (site, expected) in [("none", 200), ("same-origin", 200), ("same-site", 403), ("cross-site", 403)] {
        assert_eq!(serving.status(&["-H", &format!("Sec-Fetch-Site: {site}")], "/empty"), expected, "{site}");
    }
    serving.end();
    let open = Server::bind(Arc::new(tree()), "0.0.0.0:0".parse().unwrap(), Password::random().unwrap());
    assert!(matches!(open, Err(Error::NotLoopback { .. })));
}

#[test]
fn files_come_whole_in_parts_or_not_at_all() {
    if !testkit::programs(&["curl"]) {
        return;
    }
    let serving = Serving::start();
    let big = "/deep/er/file%20%C3%A4%3C%26%3E%F0%9F%94%91%20100%25.bin";
    let expected = pattern(3_000_000);
    let (head, body) = serving.curl(&[], big);
    assert_eq!(status(&head), 200);
    assert!(head.contains("content-length: 3000000") && head.contains("accept-ranges: bytes"), "{head}");
    assert!(body == expected);
    for (range, from, to) in
        [("0-0", 0, 1), ("1000000-2000000", 1_000_000, 2_000_001), ("2999990-", 2_999_990, 3_000_000)]
    {
        let (head, body) = serving.curl(&["-r", range], big);
        assert_eq!(status(&head), 206, "{head}");
        assert!(head.contains(&format!("content-range: bytes {from}-{}/3000000", to - 1)), "{head}");
        assert!(body == expected[from..to]);
    }
    let (head, body) = serving.curl(&["-r", "-7"], big);
    assert!(status(&head) == 206 && body == expected[2_999_993..]);
    let (head, _) = serving.curl(&["-r", "3000000-"], big);
    assert!(status(&head) == 416 && head.contains("content-range: bytes */3000000"), "{head}");
    // Many ranges at once are no way to get more than the file.
    let many = (0..300).map(|_| "0-").collect::<Vec<_>>().join(",");
    assert!(serving.curl(&["-r", &many], big).1.len() == 3_000_000);

    let (head, body) = serving.curl(&["-I"], "/page.html");
    assert!(status(&head) == 200 && body.is_empty() || body.starts_with(b"HTTP"), "{head}");
    for line in [
        "content-length: 25",
        "content-type: application/octet-stream",
        "content-security-policy: sandbox",
        "x-content-type-options: nosniff",
        "content-disposition: attachment",
        "cache-control: no-store",
        "last-modified: fri, 13 feb 2009 23:31:30 gmt",
    ] {
        assert!(head.contains(line), "{line}: {head}");
    }
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    assert_eq!(serving.status(&["-H", &format!("If-None-Match: {etag}")], "/page.html"), 304);
    assert_eq!(serving.status(&["-H", "If-Modified-Since: Fri, 13 Feb 2009 23:31:30 GMT"], "/page.html"), 304);
    assert_eq!(serving.status(&["-H", "If-Modified-Since: Fri, 13 Feb 2009 23:31:29 GMT"], "/page.html"), 200);
    for (header, expected) in [
        (format!("If-Match: {etag}"), 200),
        ("If-Match: *".to_owned(), 200),
        ("If-Match: \"other\"".to_owned(), 412),
        ("If-Unmodified-Since: Fri, 13 Feb 2009 23:31:30 GMT".to_owned(), 200),
        ("If-Unmodified-Since: Fri, 13 Feb 2009 23:31:29 GMT".to_owned(), 412),
    ] {
        assert_eq!(serving.status(&["-H", &header], "/page.html"), expected, "{header}");
    }
    // A range of a head is no part of it.
    let (head, _) = serving.curl(&["-I", "-r", "0-3"], "/page.html");
    assert!(status(&head) == 200 && head.contains("content-length: 25"), "{head}");
    assert_eq!(serving.curl(&[], "/empty").1, b"");
    for path in
        ["/nothing", "/empty/x", "/link", "/other", "/..%2f..%2fetc/passwd", "/../../etc/passwd", "/a%00", "/%FF"]
    {
        assert_eq!(serving.status(&[], path), 404, "{path}");
    }
    assert_eq!(serving.status(&[], "/deep"), 405);
    // What cannot be read is never told as read.
    let (head, body) = serving.curl(&[], "/damaged");
    assert!(status(&head) == 200 && body.len() < 2 << 20, "{}", body.len());
    assert_eq!(serving.status(&[], "/empty"), 200);
    serving.end();
}

#[test]
fn listings_tell_what_is_there_and_go_no_deeper_than_asked() {
    if !testkit::programs(&["curl"]) {
        return;
    }
    let serving = Serving::start();
    let find = |depth: &str, body: &str, path: &str| {
        let depth = format!("Depth: {depth}");
        let (head, body) = serving.curl(&["-X", "PROPFIND", "-H", &depth, "--data-binary", body], path);
        (status(&head), String::from_utf8(body).unwrap())
    };
    let (found, text) = find("0", "", "/");
    assert_eq!((found, text.matches("<D:response>").count()), (207, 1));
    let (found, text) = find("1", "", "/");
    assert_eq!((found, text.matches("<D:response>").count()), (207, 6), "{text}");
    for part in [
        "<D:href>/</D:href>",
        "<D:href>/deep/</D:href>",
        "<D:href>/page.html</D:href>",
        "<D:collection/>",
        "<D:getcontentlength>25</D:getcontentlength>",
        "<D:getlastmodified>Fri, 13 Feb 2009 23:31:30 GMT</D:getlastmodified>",
        "<D:creationdate>2009-02-13T23:31:30Z</D:creationdate>",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("link") && !text.contains("other"), "{text}");
    let (_, text) = find("1", "", "/deep/er");
    assert!(text.contains("/deep/er/file%20%C3%A4%3C%26%3E%F0%9F%94%91%20100%25.bin"), "{text}");
    assert!(text.contains("file \u{e4}&lt;&amp;&gt;\u{1f511} 100%.bin"), "{text}");
    assert_eq!(find("1", "", "/many/").1.matches("<D:response>").count(), 3001);

    let asked = "<p:propfind xmlns:p=\"DAV:\" xmlns:w=\"urn:win\"><p:prop><p:getetag/><w:Attributes/><p:quota-available-bytes/>\
                 </p:prop></p:propfind>";
    let (_, text) = find("0", asked, "/page.html");
    assert!(text.contains("<D:getetag>&quot;") && text.contains("<Attributes xmlns=\"urn:win\"/>"), "{text}");
    assert!(text.contains("404 Not Found") && text.contains("<quota-available-bytes xmlns=\"DAV:\"/>"), "{text}");
    assert!(find("0", asked, "/").1.contains("<D:quota-available-bytes>524288<"));

    for depth in ["infinity", "2", "-1", ""] {
        let (found, text) = find(depth, "", "/");
        assert_eq!(found, 403, "{depth}");
        assert!(text.contains("propfind-finite-depth"));
    }
    assert_eq!(find("1", "", "/nothing").0, 404);
    assert_eq!(find("0", "nonsense", "/").0, 400);
    fs::write(serving.folder.path().join("long"), vec![b'x'; 100_000]).unwrap();
    let long = format!("@{}", serving.folder.path().join("long").display());
    assert_eq!(find("0", &long, "/").0, 413);
    serving.end();
}

#[test]
fn everything_that_would_change_something_is_refused() {
    if !testkit::programs(&["curl"]) {
        return;
    }
    let serving = Serving::start();
    for method in ["PUT", "DELETE", "MKCOL", "COPY", "MOVE", "PROPPATCH", "LOCK", "UNLOCK", "POST", "PATCH"] {
        let (head, _) = serving.curl(&["-X", method, "-H", "Destination: /x"], "/page.html");
        assert_eq!(status(&head), 405, "{method}");
        assert!(head.contains("allow: options, get, head, propfind"), "{head}");
    }
    let (head, _) = serving.curl(&["-X", "OPTIONS"], "/");
    assert!(status(&head) == 200 && head.contains("dav: 1\r") && head.contains("ms-author-via: dav"), "{head}");
    serving.end();
}

#[test]
fn cadaver_walks_through_it() {
    if !testkit::programs(&["cadaver"]) {
        return;
    }
    let serving = Serving::start();
    let home = serving.folder.path();
    fs::copy(home.join("netrc"), home.join(".netrc")).unwrap();
    let mut cadaver = Command::new("cadaver");
    cadaver.arg(serving.url("/")).env("HOME", home).env("LC_ALL", "C.UTF-8").current_dir(home);
    let mut child = cadaver.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"ls\ncd deep/er\nmget *\nput netrc\nquit\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("Coll:   deep") && said.contains("page.html"), "{said}");
    let got = fs::read_dir(home).unwrap().flatten().map(|entry| entry.path());
    let got = got.filter(|path| path.extension().is_some_and(|end| end == "bin")).collect::<Vec<_>>();
    assert_eq!(got.len(), 1, "{said}");
    assert!(fs::read(&got[0]).unwrap() == pattern(3_000_000));
    serving.end();
}

#[test]
fn davfs_mounts_it() {
    if !testkit::programs(&["mount.davfs", "umount"]) {
        return;
    }
    let user = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap();
    if user.trim() != "0" || !Path::new("/dev/fuse").exists() {
        return testkit::skip("mount.davfs wants root and /dev/fuse");
    }
    let serving = Serving::start();
    let home = serving.folder.path();
    let (mount, cache) = (home.join("mount"), home.join("cache"));
    fs::create_dir(&mount).unwrap();
    fs::create_dir(&cache).unwrap();
    let secrets = home.join("secrets");
    fs::write(&secrets, format!("{} {USER} {}\n", serving.url("/"), serving.password.expose())).unwrap();
    mode(&secrets, 0o600);
    // davfs2 works as a user of its own.
    mode(home, 0o755);
    mode(&cache, 0o777);
    let settings = home.join("davfs.conf");
    let lines = format!("secrets {}\ncache_dir {}\nuse_locks 0\nask_auth 0\n", secrets.display(), cache.display());
    fs::write(&settings, lines).unwrap();
    let options = format!("ro,conf={}", settings.display());
    let mounted =
        Command::new("mount.davfs").arg(serving.url("/")).arg(&mount).args(["-o", &options]).output().unwrap();
    assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
    // Its listings fail on newer kernels, whatever the server is; every name on the way was found in one of ours.
    let missing = mount.join("nothing").exists();
    let length = mount.join("page.html").metadata().map(|data| data.len());
    let big = fs::read(mount.join("deep/er/file \u{e4}<&>\u{1f511} 100%.bin"));
    let gone = Command::new("umount").arg(&mount).output().unwrap();
    assert!(gone.status.success(), "{}", String::from_utf8_lossy(&gone.stderr));
    assert!(!missing && length.unwrap() == 25);
    assert!(big.unwrap() == pattern(3_000_000));
    serving.end();
}

fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn silent_and_broken_clients_hold_up_neither_others_nor_the_end() {
    if !testkit::programs(&["curl"]) {
        return;
    }
    let serving = Serving::start();
    let connect = || TcpStream::connect(serving.address).unwrap();
    let mut silent: Vec<_> = (0..30).map(|_| connect()).collect();
    for (index, stream) in silent.iter_mut().enumerate() {
        let _ = match index % 3 {
            0 => Ok(()),
            1 => stream.write_all(b"GET / HTTP/1.1\r\nHost: "),
            _ => stream.write_all(&pattern(5000)),
        };
    }
    // A head without end.
    let mut long = connect();
    long.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let _ = long.write_all(b"GET / HTTP/1.1\r\n");
    let line = [b"X-Filler: ".as_slice(), &[b'x'; 1000], b"\r\n"].concat();
    let sent = (0..2000).take_while(|_| long.write_all(&line).is_ok()).count();
    let mut answer = Vec::new();
    let _ = long.read_to_end(&mut answer);
    assert!(sent < 2000 || answer.starts_with(b"HTTP/1.1 4"), "{sent}");
    assert_eq!(serving.status(&[], "/empty"), 200);
    let start = Instant::now();
    serving.end();
    assert!(start.elapsed() < Duration::from_secs(8));
    drop(silent);
}
