//! Replies to requests.

use std::io;

use crate::connection::Outbound;
use crate::wire::{SIMPLE_REPLY_MAGIC, STRUCTURED_REPLY_MAGIC, chunk};

/// A reply whose cookie tells which request it answers.
pub(crate) struct Reply<'a> {
    pub(crate) outbound: &'a Outbound<'a>,
    pub(crate) cookie: u64,
    /// Whether the client wants structured replies to its reads.
    pub(crate) structured: bool,
}

impl Reply<'_> {
    /// Done, without data.
    pub(crate) fn done(&self) -> io::Result<()> {
        self.simple(0, &[])
    }

    /// Failed, to a request that is not a read.
    pub(crate) fn failed(&self, errno: u32) -> io::Result<()> {
        self.simple(errno, &[])
    }

    /// A read failed before any of its data was sent.
    pub(crate) fn read_failed(&self, errno: u32) -> io::Result<()> {
        if !self.structured {
            return self.simple(errno, &[]);
        }
        let mut payload = errno.to_be_bytes().to_vec();
        // Length of a message in words; there is none.
        payload.extend([0, 0]);
        self.chunk(chunk::ERROR, chunk::FLAG_DONE, &payload, &[])
    }

    /// All data of a read that fits in one piece.
    pub(crate) fn data(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        if !self.structured {
            return self.simple(0, data);
        }
        self.chunk(chunk::OFFSET_DATA, chunk::FLAG_DONE, &offset_bytes.to_be_bytes(), data)
    }

    /// One piece of the data of a long read, for a client that takes pieces.
    pub(crate) fn piece(&self, offset_bytes: u64, data: &[u8], last: bool) -> io::Result<()> {
        let flags = if last { chunk::FLAG_DONE } else { 0 };
        self.chunk(chunk::OFFSET_DATA, flags, &offset_bytes.to_be_bytes(), data)
    }

    pub(crate) fn simple_head(&self, errno: u32) -> [u8; 16] {
        let mut head = [0; 16];
        head[..4].copy_from_slice(&SIMPLE_REPLY_MAGIC.to_be_bytes());
        head[4..8].copy_from_slice(&errno.to_be_bytes());
        head[8..].copy_from_slice(&self.cookie.to_be_bytes());
        head
    }

    fn simple(&self, errno: u32, data: &[u8]) -> io::Result<()> {
        self.outbound.lock().send(&self.simple_head(errno), data)
    }

    fn chunk(&self, kind: u16, flags: u16, start: &[u8], data: &[u8]) -> io::Result<()> {
        // A piece is far shorter than 4 GiB.
        let length = u32::try_from(start.len() + data.len()).map_err(io::Error::other)?;
        let mut head = Vec::with_capacity(20 + start.len());
        head.extend(STRUCTURED_REPLY_MAGIC.to_be_bytes());
        head.extend(flags.to_be_bytes());
        head.extend(kind.to_be_bytes());
        head.extend(self.cookie.to_be_bytes());
        head.extend(length.to_be_bytes());
        head.extend(start);
        self.outbound.lock().send(&head, data)
    }
}
