//! A panel that runs, and requests to it as a browser's page sends them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use panel::{Config, Panel};
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }

    /// The document of a good answer.
    pub(crate) fn good(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// The code of a refusal.
    pub(crate) fn code(&self) -> String {
        assert!(self.status >= 400, "{}", String::from_utf8_lossy(&self.body));
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

pub(crate) struct Running {
    pub(crate) address: String,
    pub(crate) link: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    pub(crate) session: String,
}

impl Running {
    pub(crate) fn start(state: &Path) -> Self {
        let config = Config {
            state: state.to_owned(),
            port: 0,
            server: None,
            service: None,
            sys: state.join("sys"),
            dev: state.join("dev"),
        };
        std::fs::create_dir_all(state.join("sys/block")).unwrap();
        std::fs::create_dir_all(state.join("dev")).unwrap();
        let (told, telling) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let panel = Panel::open(config).await.unwrap();
                told.send((panel.origin().to_owned(), panel.link().expose().to_owned())).unwrap();
                panel.serve(async { drop(stopped.await) }).await.unwrap();
            });
        });
        let (origin, link) = telling.recv().unwrap();
        let address = origin.strip_prefix("http://").unwrap().to_owned();
        Self { address, link, stop: Some(stop), thread: Some(thread), session: String::new() }
    }

    /// A panel that somebody is in.
    pub(crate) fn entered(state: &Path) -> Self {
        let mut running = Self::start(state);
        let token = running.token();
        running.session =
            running.post("/api/enter", &json!({ "token": token })).good()["session"].as_str().unwrap().to_owned();
        running
    }

    pub(crate) fn token(&self) -> String {
        self.link.split("#enter/").nth(1).unwrap().to_owned()
    }

    /// As a signal ends it: what is under way pauses.
    pub(crate) fn end(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }

    /// Sends a request as it is.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let split = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: bytes[split + 4..].to_vec() };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = unchunked(&answer.body);
        }
        answer
    }

    fn own(&self) -> Vec<(String, String)> {
        let mut own = vec![
            ("Host".to_owned(), self.address.clone()),
            ("Origin".to_owned(), format!("http://{}", self.address)),
            ("Sec-Fetch-Site".to_owned(), "same-origin".to_owned()),
            ("Content-Type".to_owned(), "application/json".to_owned()),
        ];
        if !self.session.is_empty() {
            own.push(("Authorization".to_owned(), format!("Bearer {}", self.session)));
        }
        own
    }

    fn as_page(&self, method: &str, path: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
        let own = self.own();
        let mut headers: Vec<(&str, &str)> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.extend(more);
        self.send(method, path, &headers, body)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.as_page("POST", path, &[], body.to_string().as_bytes())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.as_page("GET", path, &[], b"")
    }

    pub(crate) fn get_with(&self, path: &str, more: &[(&str, &str)]) -> Answer {
        self.as_page("GET", path, more, b"")
    }

    /// Puts an image into the list; gives the drive.
    pub(crate) fn choose(&self, image: &Path) -> Value {
        self.post("/api/images", &json!({ "path": image })).good()["drives"][0].clone()
    }

    /// The job when it runs no longer.
    pub(crate) fn ended(&self, id: &str) -> Value {
        let start = Instant::now();
        loop {
            let jobs = self.get("/api/jobs").good();
            let job = jobs["jobs"].as_array().unwrap().iter().find(|job| job["id"] == id).unwrap().clone();
            if !["running", "stopping"].contains(&job["state"].as_str().unwrap()) {
                return job;
            }
            assert!(start.elapsed() < Duration::from_secs(300), "{job}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Downloads as the page does.
    pub(crate) fn download(&self, drive: &str, paths: &[&str]) -> Answer {
        let ready = self.post(&format!("/api/drives/{drive}/download"), &json!({ "paths": paths })).good();
        self.get(&format!("/{}", ready["address"].as_str().unwrap()))
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        whole.extend_from_slice(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 4 + length..];
        if length == 0 {
            break;
        }
    }
    whole
}

/// A plain FAT32 image with a file of this size; gives the file's bytes.
pub(crate) fn plain_image(folder: &Path, name: &str, file_bytes: usize) -> (std::path::PathBuf, Vec<u8>) {
    let image = folder.join(name);
    let inside = folder.join(format!("{name}.content"));
    let content: Vec<u8> = (0..file_bytes).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect();
    std::fs::write(&inside, &content).unwrap();
    run(Command::new("mkfs.fat").args(["-F", "32", "-C"]).arg(&image).arg("98304"));
    run(Command::new("mmd").arg("-i").arg(&image).arg("::/Folder"));
    run(Command::new("mcopy")
        .arg("-i")
        .arg(&image)
        .arg(&inside)
        .arg("::/Folder/Gr\u{fc}\u{df}e \"1\".bin".replace('"', "'")));
    (image, content)
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
