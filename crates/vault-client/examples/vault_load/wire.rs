//! HTTP/1.1 over one connection that stays open, from an address of its own: every computer of 127.0.0.0/8 is here, and the
//! service's limits tell networks apart.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use vault_client::{Method, Request, Response, Transport, TransportError};

use crate::times::Times;

/// A connection.
pub(crate) struct Wire {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Wire {
    /// Connects from the computer with this number.
    pub(crate) async fn connect(origin: &str, computer: usize) -> std::io::Result<Self> {
        let to: SocketAddr = origin.trim_start_matches("http://").parse().map_err(std::io::Error::other)?;
        let net = u16::try_from(computer % 60_000 + 256).unwrap_or(256).to_be_bytes();
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, net[0], net[1], 1), 0)))?;
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a whole request; gives status and body.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> std::io::Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        let mut body = None;
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if body.is_none() {
                body = head(&self.answer);
            }
            if let Some((status, start, length)) = body
                && self.answer.len() >= start + length
            {
                return Ok((status, &self.answer[start..start + length]));
            }
        }
    }
}

/// Status, where the body starts, and how long it is, once the head is whole.
fn head(bytes: &[u8]) -> Option<(u16, usize, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = text.get(9..12)?.parse().ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Some((status, end + 4, length.unwrap_or(0)))
}

/// A whole request.
pub(crate) fn request(method: &str, path: &str, bearer: Option<&str>, body: &[u8]) -> Vec<u8> {
    let bearer = bearer.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: vault\r\nuser-agent: keyhaven/bench\r\n{bearer}content-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The client's joint to the network, over such a connection; notes how long each kind of call took.
pub(crate) struct Timed {
    runtime: Runtime,
    wire: RefCell<Wire>,
    origin: String,
    times: RefCell<BTreeMap<String, Times>>,
}

impl Timed {
    pub(crate) fn connect(origin: &str, computer: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let wire = runtime.block_on(Wire::connect(origin, computer)).unwrap();
        Self { runtime, wire: RefCell::new(wire), origin: origin.to_owned(), times: RefCell::default() }
    }

    /// What was noted since the last time.
    pub(crate) fn take_times(&self) -> BTreeMap<String, Times> {
        self.times.take()
    }
}

impl Transport for Timed {
    fn send(&self, asked: Request<'_>) -> Result<Response, TransportError> {
        let method = match asked.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
        };
        let bytes = request(method, asked.path, asked.bearer, asked.body.expose());
        let mut wire = self.wire.borrow_mut();
        let begun = Instant::now();
        let answer = self.runtime.block_on(wire.exchange(&bytes));
        let time = begun.elapsed();
        let (status, body) = answer.map_err(|error| TransportError(error.to_string()))?;
        self.times.borrow_mut().entry(route(asked.path)).or_default().push(time);
        Ok(Response { status, body: body.to_vec() })
    }

    fn origin(&self) -> &str {
        &self.origin
    }
}

/// The path without identifiers and query.
fn route(path: &str) -> String {
    let path = path.split('?').next().unwrap_or(path);
    let parts = path.split('/').map(|part| if part.len() > 30 { "{id}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}
