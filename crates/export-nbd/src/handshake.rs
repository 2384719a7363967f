//! From a new connection to a disk.

use std::io;
use std::time::Instant;

use export::Disk;

use crate::channel::Channel;
use crate::limits;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::wire::{
    FIXED_NEWSTYLE, NO_ZEROES, OPTION_MAGIC, OPTION_REPLY_MAGIC, SERVER_MAGIC, answer, flag, info, option,
};

/// The block size in which clients work best: the unit of the caches on the way.
const PREFERRED_BYTES: u32 = 4096;

/// What a client may choose from.
pub(crate) struct Offer<'a> {
    pub(crate) disk: &'a Disk,
    /// Name of the only disk; the empty name means it, too.
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<&'a Tls>,
}

/// What was agreed on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Agreed {
    /// Reads are answered by structured replies.
    pub(crate) structured: bool,
}

/// What an option led to.
enum Next {
    Another,
    Agreed,
    Gone,
}

struct Handshake<'a> {
    channel: &'a mut Channel,
    offer: &'a Offer<'a>,
    deadline: Instant,
    no_zeroes: bool,
    structured: bool,
}

/// Talks to a new client until it has the disk; `None` when it wanted something else, or nothing.
pub(crate) fn shake(channel: &mut Channel, offer: &Offer<'_>) -> io::Result<Option<Agreed>> {
    let deadline = Instant::now() + limits::HANDSHAKE;
    let mut hello = [0; 18];
    hello[..8].copy_from_slice(&SERVER_MAGIC.to_be_bytes());
    hello[8..16].copy_from_slice(&OPTION_MAGIC.to_be_bytes());
    hello[16..].copy_from_slice(&(FIXED_NEWSTYLE | NO_ZEROES).to_be_bytes());
    channel.write_all(&hello, &[])?;
    let mut flags = [0; 4];
    channel.read_exact_until(&mut flags, deadline)?;
    let flags = u32::from_be_bytes(flags);
    if flags & !u32::from(FIXED_NEWSTYLE | NO_ZEROES) != 0 {
        return Ok(None);
    }
    let no_zeroes = flags & u32::from(NO_ZEROES) != 0;
    let mut handshake = Handshake { channel, offer, deadline, no_zeroes, structured: false };
    for _ in 0..limits::OPTIONS {
        match handshake.option()? {
            Next::Another => {}
            Next::Agreed => return Ok(Some(Agreed { structured: handshake.structured })),
            Next::Gone => return Ok(None),
        }
    }
    Ok(None)
}

impl Handshake<'_> {
    fn option(&mut self) -> io::Result<Next> {
        let mut head = [0; 16];
        self.channel.read_exact_until(&mut head, self.deadline)?;
        let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (option, length) = (number(8), number(12));
        if head[..8] != OPTION_MAGIC.to_be_bytes() || length > limits::OPTION_BYTES {
            return Ok(Next::Gone);
        }
        let mut data = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.channel.read_exact_until(&mut data, self.deadline)?;
        if self.must_encrypt() && !matches!(option, option::STARTTLS | option::ABORT) {
            // Without TLS there is no way to answer this one but to go.
            if option == option::EXPORT_NAME {
                return Ok(Next::Gone);
            }
            return self.answer(option, answer::TLS_REQUIRED, b"this server speaks TLS only").map(|()| Next::Another);
        }
        match option {
            option::EXPORT_NAME => self.export_name(&data),
            option::ABORT => self.answer(option, answer::ACK, &[]).map(|()| Next::Gone),
            option::LIST => self.list(&data),
            option::STARTTLS => self.start_tls(&data),
            option::INFO | option::GO => self.info(option, &data),
            option::STRUCTURED_REPLY if data.is_empty() => {
                self.structured = true;
                self.answer(option, answer::ACK, &[]).map(|()| Next::Another)
            }
            option::STRUCTURED_REPLY => self.answer(option, answer::INVALID, &[]).map(|()| Next::Another),
            _ => self.answer(option, answer::UNSUPPORTED, &[]).map(|()| Next::Another),
        }
    }

    /// The oldest way to ask for a disk, which knows no refusal.
    fn export_name(&mut self, name: &[u8]) -> io::Result<Next> {
        if !self.is_ours(name) {
            return Ok(Next::Gone);
        }
        let mut reply = self.offer.disk.length_bytes().to_be_bytes().to_vec();
        reply.extend(self.flags().to_be_bytes());
        if !self.no_zeroes {
            reply.extend([0; 124]);
        }
        self.channel.write_all(&reply, &[]).map(|()| Next::Agreed)
    }

    fn list(&mut self, data: &[u8]) -> io::Result<Next> {
        if !data.is_empty() {
            return self.answer(option::LIST, answer::INVALID, &[]).map(|()| Next::Another);
        }
        let name = self.offer.name.as_bytes();
        let mut entry = u32::try_from(name.len()).unwrap_or(0).to_be_bytes().to_vec();
        entry.extend(name);
        self.answer(option::LIST, answer::SERVER, &entry)?;
        self.answer(option::LIST, answer::ACK, &[]).map(|()| Next::Another)
    }

    fn info(&mut self, option: u32, data: &[u8]) -> io::Result<Next> {
        let Some((name, wishes)) = parse_info(data) else {
            return self.answer(option, answer::INVALID, b"the option is malformed").map(|()| Next::Another);
        };
        if !self.is_ours(name) {
            return self.answer(option, answer::UNKNOWN, b"there is no disk of this name").map(|()| Next::Another);
        }
        let mut export = info::EXPORT.to_be_bytes().to_vec();
        export.extend(self.offer.disk.length_bytes().to_be_bytes());
        export.extend(self.flags().to_be_bytes());
        self.answer(option, answer::INFO, &export)?;
        let mut sizes = info::BLOCK_SIZE.to_be_bytes().to_vec();
        for size in [1, PREFERRED_BYTES, limits::REQUEST_BYTES] {
            sizes.extend(size.to_be_bytes());
        }
        self.answer(option, answer::INFO, &sizes)?;
        for (kind, text) in [(info::NAME, self.offer.name), (info::DESCRIPTION, self.offer.description)] {
            if wishes.chunks_exact(2).any(|wish| wish == kind.to_be_bytes()) {
                let mut payload = kind.to_be_bytes().to_vec();
                payload.extend(text.as_bytes());
                self.answer(option, answer::INFO, &payload)?;
            }
        }
        self.answer(option, answer::ACK, &[])?;
        Ok(if option == option::GO { Next::Agreed } else { Next::Another })
    }

    #[cfg(feature = "tls")]
    fn start_tls(&mut self, data: &[u8]) -> io::Result<Next> {
        let Some(tls) = self.offer.tls else {
            return self.answer(option::STARTTLS, answer::UNSUPPORTED, &[]).map(|()| Next::Another);
        };
        if !data.is_empty() || self.channel.is_encrypted() {
            return self.answer(option::STARTTLS, answer::INVALID, &[]).map(|()| Next::Another);
        }
        self.answer(option::STARTTLS, answer::ACK, &[])?;
        self.channel.encrypt(tls.begin()?);
        // What was agreed on in the clear may have been said by anybody.
        self.structured = false;
        Ok(Next::Another)
    }

    #[cfg(not(feature = "tls"))]
    fn start_tls(&mut self, _data: &[u8]) -> io::Result<Next> {
        self.answer(option::STARTTLS, answer::UNSUPPORTED, &[]).map(|()| Next::Another)
    }

    fn must_encrypt(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.offer.tls.is_some() && !self.channel.is_encrypted();
        #[cfg(not(feature = "tls"))]
        false
    }

    fn is_ours(&self, name: &[u8]) -> bool {
        name.is_empty() || name == self.offer.name.as_bytes()
    }

    fn flags(&self) -> u16 {
        let common = flag::HAS_FLAGS | flag::SEND_FLUSH | flag::SEND_FUA | flag::CAN_MULTI_CONN;
        common | if self.offer.disk.is_writable() { flag::SEND_WRITE_ZEROES } else { flag::READ_ONLY }
    }

    fn answer(&mut self, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
        let mut head = OPTION_REPLY_MAGIC.to_be_bytes().to_vec();
        head.extend(option.to_be_bytes());
        head.extend(kind.to_be_bytes());
        head.extend(u32::try_from(data.len()).map_err(io::Error::other)?.to_be_bytes());
        self.channel.write_all(&head, data)
    }
}

/// The name in an option and the kinds of information that are wished for.
fn parse_info(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk::<4>()?;
    let (name, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let (count, wishes) = rest.split_first_chunk::<2>()?;
    (wishes.len() == usize::from(u16::from_be_bytes(*count)) * 2).then_some((name, wishes))
}
