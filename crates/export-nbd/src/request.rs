//! Requests as they come in.

use std::io;

use crate::channel::{Channel, is_pause};
use crate::limits;
use crate::wire::REQUEST_MAGIC;

/// One request, without the data of a write, which is still in the stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) flags: u16,
    pub(crate) command: u16,
    pub(crate) cookie: u64,
    pub(crate) offset_bytes: u64,
    pub(crate) length: u32,
}

impl Request {
    const BYTES: usize = 28;

    fn parse(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let [m0, m1, m2, m3, f0, f1, c0, c1, rest @ ..] = *bytes;
        let [k0, k1, k2, k3, k4, k5, k6, k7, o0, o1, o2, o3, o4, o5, o6, o7, l0, l1, l2, l3] = rest;
        (u32::from_be_bytes([m0, m1, m2, m3]) == REQUEST_MAGIC).then_some(Self {
            flags: u16::from_be_bytes([f0, f1]),
            command: u16::from_be_bytes([c0, c1]),
            cookie: u64::from_be_bytes([k0, k1, k2, k3, k4, k5, k6, k7]),
            offset_bytes: u64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        })
    }
}

/// What a client sends, with a little of it read ahead: several small requests then cost one call of the system.
#[derive(Debug)]
pub(crate) struct Inbound {
    ahead: Box<[u8; AHEAD_BYTES]>,
    start: usize,
    end: usize,
    /// The stream is over or out of step; nothing of it can be used any more.
    pub(crate) over: bool,
}

const AHEAD_BYTES: usize = 4096;

impl Inbound {
    pub(crate) fn new() -> Self {
        Self { ahead: Box::new([0; AHEAD_BYTES]), start: 0, end: 0, over: false }
    }

    /// The next request; `None` when the client has gone. A client may be silent between requests for as long as it likes.
    pub(crate) fn next(&mut self, channel: &Channel) -> io::Result<Option<Request>> {
        let mut bytes = [0; Request::BYTES];
        if !self.fill(channel, &mut bytes, true)? {
            return Ok(None);
        }
        match Request::parse(&bytes) {
            Some(request) => Ok(Some(request)),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "not a request")),
        }
    }

    /// Data of a write.
    pub(crate) fn data(&mut self, channel: &Channel, buffer: &mut [u8]) -> io::Result<()> {
        self.fill(channel, buffer, false).map(drop)
    }

    /// Takes data that nobody wants.
    pub(crate) fn skip(&mut self, channel: &Channel, length: u32, buffer: &mut Vec<u8>) -> io::Result<()> {
        let mut left = usize::try_from(length).map_err(io::Error::other)?;
        while left > 0 {
            let part = room(buffer, left.min(limits::PIECE_BYTES));
            self.data(channel, part)?;
            left -= part.len();
        }
        Ok(())
    }

    /// Fills `buffer`; `false` when the stream ends in front of its first byte, where `between` allows that.
    fn fill(&mut self, channel: &Channel, buffer: &mut [u8], between: bool) -> io::Result<bool> {
        let mut done = 0;
        while done < buffer.len() {
            if self.start < self.end {
                let part = (self.end - self.start).min(buffer.len() - done);
                buffer[done..done + part].copy_from_slice(&self.ahead[self.start..self.start + part]);
                self.start += part;
                done += part;
                continue;
            }
            let missing = buffer.len() - done;
            let read = if missing >= AHEAD_BYTES {
                channel.read(&mut buffer[done..]).inspect(|count| done += count)
            } else {
                channel.read(&mut self.ahead[..]).inspect(|count| (self.start, self.end) = (0, *count))
            };
            match read {
                Ok(0) if between && done == 0 => return Ok(false),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The timeout of the socket is the longest that a client may stop within a message.
                Err(error) if is_pause(&error) && between && done == 0 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// `length` bytes of a buffer that grows when needed and is used again.
pub(crate) fn room(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    &mut buffer[..length]
}
