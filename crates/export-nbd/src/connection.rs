//! The requests of one client.
//!
//! Every thread of a connection does all there is to do for a request: it takes one from the stream, while the others wait
//! for their turn, works on it, and sends the reply, when no other is sending. So there are no queues: what is under way is
//! what the threads hold, and a client that sends one request at a time has one thread.

use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use export::{Disk, Fault};

use crate::channel::Channel;
use crate::limits;
use crate::reply::Reply;
use crate::request::{Inbound, Request, room};
use crate::wire::{command, errno};

/// A client past its handshake.
pub(crate) struct Connection {
    channel: Channel,
    disk: Arc<Disk>,
    structured: bool,
    inbound: Mutex<Inbound>,
    sending: Mutex<()>,
    /// Threads that wait for their turn at the stream.
    waiting: AtomicUsize,
    threads: AtomicUsize,
}

/// What became of taking a request.
enum Taken {
    /// Work on it; data of a write is in the buffer.
    Work(Request),
    /// It is answered already.
    Answered,
    /// There will be no more.
    Over,
}

impl Connection {
    pub(crate) fn new(channel: Channel, disk: Arc<Disk>, structured: bool) -> Self {
        Self {
            channel,
            disk,
            structured,
            inbound: Mutex::new(Inbound::new()),
            sending: Mutex::new(()),
            waiting: AtomicUsize::new(0),
            threads: AtomicUsize::new(1),
        }
    }

    /// Serves the client until it goes; returns when every request is answered.
    pub(crate) fn serve(&self) {
        std::thread::scope(|scope| self.work(scope));
        self.channel.shutdown(Shutdown::Both);
    }

    fn work<'scope, 'env>(&'env self, scope: &'scope std::thread::Scope<'scope, 'env>) {
        let mut buffer = Vec::new();
        loop {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let mut inbound = self.inbound.lock().unwrap_or_else(PoisonError::into_inner);
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            if inbound.over {
                return;
            }
            let taken = self.take(&mut inbound, &mut buffer);
            // Out of step with the client: whatever follows cannot be understood.
            inbound.over = !matches!(taken, Ok(Taken::Work(_) | Taken::Answered));
            drop(inbound);
            match taken {
                Ok(Taken::Work(request)) => {
                    self.call_another(scope);
                    if self.answer(request, &mut buffer).is_err() {
                        self.channel.shutdown(Shutdown::Both);
                    }
                }
                Ok(Taken::Answered) => {}
                Ok(Taken::Over) => return,
                Err(_) => return self.channel.shutdown(Shutdown::Read),
            }
        }
    }

    /// A thread for the next request, when none waits for it and there may be more.
    fn call_another<'scope, 'env>(&'env self, scope: &'scope std::thread::Scope<'scope, 'env>) {
        if self.waiting.load(Ordering::SeqCst) > 0 || self.threads.load(Ordering::SeqCst) >= limits::REQUESTS {
            return;
        }
        self.threads.fetch_add(1, Ordering::SeqCst);
        let started = std::thread::Builder::new().name("nbd".to_owned()).spawn_scoped(scope, move || self.work(scope));
        if started.is_err() {
            self.threads.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Takes the next request and all of its data from the stream.
    fn take(&self, inbound: &mut Inbound, buffer: &mut Vec<u8>) -> io::Result<Taken> {
        let Some(request) = inbound.next(&self.channel)? else { return Ok(Taken::Over) };
        match request.command {
            command::DISCONNECT => Ok(Taken::Over),
            command::WRITE => self.take_write(request, inbound, buffer),
            _ => Ok(Taken::Work(request)),
        }
    }

    fn take_write(&self, request: Request, inbound: &mut Inbound, buffer: &mut Vec<u8>) -> io::Result<Taken> {
        let outbound = self.outbound();
        let reply = self.reply(&outbound, request);
        if request.length > limits::REQUEST_BYTES {
            // What is announced is not waited for.
            reply.failed(errno::EINVAL)?;
            return Err(io::ErrorKind::InvalidData.into());
        }
        if let Err(refused) = self.check_write(request, command::FLAG_FUA) {
            inbound.skip(&self.channel, request.length, buffer)?;
            return reply.failed(refused).map(|()| Taken::Answered);
        }
        let length = usize::try_from(request.length).map_err(io::Error::other)?;
        if length <= limits::PIECE_BYTES {
            inbound.data(&self.channel, room(buffer, length))?;
            return Ok(Taken::Work(request));
        }
        let (mut here, mut left, mut done) = (request.offset_bytes, length, Ok(()));
        while left > 0 {
            let piece = room(buffer, left.min(limits::PIECE_BYTES));
            inbound.data(&self.channel, piece)?;
            // After an error the rest is taken all the same, to stay in step.
            done = done.and_then(|()| self.disk.write_at(here, piece));
            here += piece.len() as u64;
            left -= piece.len();
        }
        self.finish_write(request, done, &reply).map(|()| Taken::Answered)
    }

    fn answer(&self, request: Request, buffer: &mut Vec<u8>) -> io::Result<()> {
        let outbound = self.outbound();
        let reply = self.reply(&outbound, request);
        match request.command {
            command::READ => self.read(request, buffer, &reply),
            command::WRITE => {
                // It was read into the buffer when the request was taken.
                let length = usize::try_from(request.length).unwrap_or(0);
                let written = self.disk.write_at(request.offset_bytes, buffer.get(..length).unwrap_or_default());
                self.finish_write(request, written, &reply)
            }
            command::WRITE_ZEROES => self.write_zeroes(request, buffer, &reply),
            // `FUA` is allowed with every command.
            command::FLUSH if request.flags & !command::FLAG_FUA == 0 => match self.disk.flush() {
                Ok(()) => reply.done(),
                Err(error) => reply.failed(errno_of(&error)),
            },
            command::TRIM => reply.failed(errno::ENOTSUP),
            _ => reply.failed(errno::EINVAL),
        }
    }

    fn read(&self, request: Request, buffer: &mut Vec<u8>, reply: &Reply<'_>) -> io::Result<()> {
        let wrong_flags = request.flags & !command::FLAG_FUA != 0;
        // A structured reply has no way to give nothing.
        let wrong_length = request.length == 0 || request.length > limits::REQUEST_BYTES;
        if wrong_flags || wrong_length || !self.inside(request) {
            return reply.read_failed(errno::EINVAL);
        }
        let length = usize::try_from(request.length).map_err(io::Error::other)?;
        let first = room(buffer, length.min(limits::PIECE_BYTES));
        if let Err(error) = self.disk.read_at(request.offset_bytes, first) {
            return reply.read_failed(errno_of(&error));
        }
        if length <= limits::PIECE_BYTES {
            return reply.data(request.offset_bytes, first);
        }
        if self.structured {
            return self.read_pieces(request.offset_bytes, length, buffer, reply);
        }
        // One reply, sent in pieces. An error behind the first can only be told by breaking off.
        let mut sending = self.outbound_lock();
        sending.send(&reply.simple_head(0), first)?;
        let (mut here, mut left) = (request.offset_bytes + first.len() as u64, length - first.len());
        while left > 0 {
            let piece = room(buffer, left.min(limits::PIECE_BYTES));
            self.disk.read_at(here, piece).map_err(io::Error::other)?;
            sending.send(&[], piece)?;
            here += piece.len() as u64;
            left -= piece.len();
        }
        Ok(())
    }

    /// A long read whose first piece is in the buffer.
    fn read_pieces(&self, start: u64, length: usize, buffer: &mut Vec<u8>, reply: &Reply<'_>) -> io::Result<()> {
        let mut done = 0;
        while done < length {
            let here = start + done as u64;
            let piece = room(buffer, (length - done).min(limits::PIECE_BYTES));
            if done > 0
                && let Err(error) = self.disk.read_at(here, piece)
            {
                return reply.read_failed(errno_of(&error));
            }
            done += piece.len();
            reply.piece(here, piece, done == length)?;
        }
        Ok(())
    }

    fn write_zeroes(&self, request: Request, buffer: &mut Vec<u8>, reply: &Reply<'_>) -> io::Result<()> {
        // A hole would say which sectors hold nothing, so zeros are written whatever is wished.
        if let Err(refused) = self.check_write(request, command::FLAG_FUA | command::FLAG_NO_HOLE) {
            return reply.failed(refused);
        }
        let end = request.offset_bytes + u64::from(request.length);
        let mut here = request.offset_bytes;
        let mut done = Ok(());
        while here < end && done.is_ok() {
            let left = usize::try_from(end - here).unwrap_or(usize::MAX);
            let piece = room(buffer, left.min(limits::PIECE_BYTES));
            piece.fill(0);
            done = self.disk.write_at(here, piece);
            here += piece.len() as u64;
        }
        self.finish_write(request, done, reply)
    }

    fn finish_write(
        &self,
        request: Request,
        written: Result<(), block_io::Error>,
        reply: &Reply<'_>,
    ) -> io::Result<()> {
        let through = request.flags & command::FLAG_FUA != 0;
        match written.and_then(|()| if through { self.disk.flush() } else { Ok(()) }) {
            Ok(()) => reply.done(),
            Err(error) => reply.failed(errno_of(&error)),
        }
    }

    fn check_write(&self, request: Request, known: u16) -> Result<(), u32> {
        if !self.disk.is_writable() {
            return Err(errno::EPERM);
        }
        if request.flags & !known != 0 {
            return Err(errno::EINVAL);
        }
        if self.inside(request) { Ok(()) } else { Err(errno::ENOSPC) }
    }

    fn inside(&self, request: Request) -> bool {
        let end = request.offset_bytes.checked_add(u64::from(request.length));
        end.is_some_and(|end| end <= self.disk.length_bytes())
    }

    fn reply<'a>(&self, outbound: &'a Outbound<'a>, request: Request) -> Reply<'a> {
        Reply { outbound, cookie: request.cookie, structured: self.structured }
    }

    fn outbound(&self) -> Outbound<'_> {
        Outbound { channel: &self.channel, sending: &self.sending }
    }

    fn outbound_lock(&self) -> Sending<'_> {
        Sending { channel: &self.channel, _alone: self.sending.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

/// The way back to the client.
pub(crate) struct Outbound<'a> {
    channel: &'a Channel,
    sending: &'a Mutex<()>,
}

impl Outbound<'_> {
    /// Waits until no other reply is being sent.
    pub(crate) fn lock(&self) -> Sending<'_> {
        Sending { channel: self.channel, _alone: self.sending.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

/// A reply that is being sent.
pub(crate) struct Sending<'a> {
    channel: &'a Channel,
    _alone: MutexGuard<'a, ()>,
}

impl Sending<'_> {
    pub(crate) fn send(&mut self, head: &[u8], data: &[u8]) -> io::Result<()> {
        self.channel.write_all(head, data)
    }
}

fn errno_of(error: &block_io::Error) -> u32 {
    match Fault::of(error) {
        Fault::ReadOnly => errno::EPERM,
        Fault::OutOfRange => errno::EINVAL,
        Fault::NoSpace => errno::ENOSPC,
        Fault::Failed => errno::EIO,
    }
}
