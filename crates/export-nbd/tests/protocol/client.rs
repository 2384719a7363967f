//! A server on a disk in memory, and a client that says what it is told to say.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use block_io::{BlockRead, BlockWrite, Geometry, MemoryDisk};
use export::{Access, Disk};
use export_nbd::{Address, Error, Options, Server, Stopper};

pub(crate) const SIZE: usize = 8 << 20;
/// Reading or writing here fails, as on a damaged medium.
pub(crate) const BAD: std::ops::Range<u64> = 6_000_000..6_000_512;

pub(crate) struct Serving {
    pub(crate) memory: Arc<Damaged>,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) stopper: Stopper,
    pub(crate) thread: Option<JoinHandle<Result<(), Error>>>,
}

pub(crate) struct Damaged {
    pub(crate) disk: MemoryDisk,
    pub(crate) flushes: std::sync::atomic::AtomicUsize,
}

fn check(offset_bytes: u64, length: usize) -> Result<(), block_io::Error> {
    if offset_bytes < BAD.end && offset_bytes + length as u64 > BAD.start {
        let source = std::io::Error::other("bad sector");
        return Err(block_io::Error::Io { operation: "read", offset_bytes, source });
    }
    Ok(())
}

impl BlockRead for Damaged {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), block_io::Error> {
        check(offset_bytes, buffer.len())?;
        self.disk.read_exact_at(offset_bytes, buffer)
    }
    fn geometry(&self) -> Geometry {
        self.disk.geometry()
    }
}

impl BlockWrite for Damaged {
    fn write_all_at(&self, offset_bytes: u64, data: &[u8]) -> Result<(), block_io::Error> {
        check(offset_bytes, data.len())?;
        self.disk.write_all_at(offset_bytes, data)
    }
    fn flush(&self) -> Result<(), block_io::Error> {
        self.flushes.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }
}

pub(crate) fn content() -> Vec<u8> {
    (0..u32::try_from(SIZE / 4).unwrap()).flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

impl Serving {
    pub(crate) fn start(access: Access) -> Self {
        let memory = Arc::new(Damaged { disk: MemoryDisk::new(content()), flushes: 0.into() });
        let disk = Arc::new(Disk::new(Box::new(memory.clone()), access));
        let options = Options {
            name: "volume".to_owned(),
            description: "a disk".to_owned(),
            #[cfg(feature = "tls")]
            tls: None,
        };
        let server = Server::bind(disk, &Address::Tcp("127.0.0.1:0".parse().unwrap()), options).unwrap();
        let Address::Tcp(address) = server.address().clone() else { panic!("not TCP") };
        let stopper = server.stopper();
        let thread = Some(std::thread::spawn(move || server.serve()));
        Self { memory, address, stopper, thread }
    }

    pub(crate) fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream }
    }

    /// A client that has the disk.
    pub(crate) fn ready(&self, structured: bool) -> Client {
        let mut client = self.client();
        client.greet();
        if structured {
            client.option(8, &[]);
            assert_eq!(client.answer(8).0, 1);
        }
        client.option(7, &go("volume", &[]));
        while client.answer(7).0 != 1 {}
        client
    }

    pub(crate) fn end(mut self) {
        self.stopper.stop();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn receive<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    pub(crate) fn data(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Whether the server closed the stream.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 4096]), Ok(0))
            || self.stream.take_error().is_ok_and(|error| error.is_some())
            || self.stream.write(&[0; 4096]).is_err()
    }

    pub(crate) fn greet(&mut self) {
        let hello: [u8; 18] = self.receive();
        assert_eq!(&hello[..16], b"NBDMAGICIHAVEOPT");
        assert_eq!(hello[16..], [0, 3]);
        self.send(&3_u32.to_be_bytes());
    }

    pub(crate) fn option(&mut self, option: u32, data: &[u8]) {
        let mut bytes = b"IHAVEOPT".to_vec();
        bytes.extend(option.to_be_bytes());
        bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(data);
        self.send(&bytes);
    }

    /// Kind and data of an answer to `option`.
    pub(crate) fn answer(&mut self, option: u32) -> (u32, Vec<u8>) {
        assert_eq!(self.receive::<8>(), 0x0003_e889_0455_65a9_u64.to_be_bytes());
        assert_eq!(self.receive::<4>(), option.to_be_bytes());
        let kind = u32::from_be_bytes(self.receive());
        let length = u32::from_be_bytes(self.receive());
        (kind, self.data(length as usize))
    }

    pub(crate) fn request(&mut self, command: u16, flags: u16, cookie: u64, offset: u64, length: u32) {
        let mut bytes = 0x2560_9513_u32.to_be_bytes().to_vec();
        bytes.extend(flags.to_be_bytes());
        bytes.extend(command.to_be_bytes());
        bytes.extend(cookie.to_be_bytes());
        bytes.extend(offset.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        self.send(&bytes);
    }

    /// Error and cookie of a simple reply.
    pub(crate) fn reply(&mut self) -> (u32, u64) {
        assert_eq!(self.receive::<4>(), 0x6744_6698_u32.to_be_bytes());
        (u32::from_be_bytes(self.receive()), u64::from_be_bytes(self.receive()))
    }

    /// Flags, kind, cookie and payload of a structured reply.
    pub(crate) fn chunk(&mut self) -> (u16, u16, u64, Vec<u8>) {
        assert_eq!(self.receive::<4>(), 0x668e_33ef_u32.to_be_bytes());
        let (flags, kind) = (u16::from_be_bytes(self.receive()), u16::from_be_bytes(self.receive()));
        let cookie = u64::from_be_bytes(self.receive());
        let length = u32::from_be_bytes(self.receive());
        (flags, kind, cookie, self.data(length as usize))
    }
}

/// Data of a `GO` or `INFO`.
pub(crate) fn go(name: &str, wishes: &[u16]) -> Vec<u8> {
    let mut data = u32::try_from(name.len()).unwrap().to_be_bytes().to_vec();
    data.extend(name.as_bytes());
    data.extend(u16::try_from(wishes.len()).unwrap().to_be_bytes());
    data.extend(wishes.iter().flat_map(|wish| wish.to_be_bytes()));
    data
}
