//! What clients do with a disk.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use export::Access;

use crate::client::{BAD, SIZE, Serving, content};

const READ: u16 = 0;
const WRITE: u16 = 1;
const FLUSH: u16 = 3;
const TRIM: u16 = 4;
const CACHE: u16 = 5;
const ZEROES: u16 = 6;
const FUA: u16 = 1;

#[test]
fn reads_of_every_length_give_the_content() {
    let serving = Serving::start(Access::ReadOnly);
    let expected = content();
    let mut plain = serving.ready(false);
    let mut structured = serving.ready(true);
    for (offset, length) in [(0, 1), (511, 2), (4096, 65_536), (1, 1 << 20), (0, (1 << 20) + 1), (12_345, 5_000_000)] {
        let range = offset..offset + length;
        plain.request(READ, 0, 7, offset as u64, u32::try_from(length).unwrap());
        assert_eq!(plain.reply(), (0, 7));
        assert!(plain.data(length) == expected[range.clone()]);

        structured.request(READ, 0, 8, offset as u64, u32::try_from(length).unwrap());
        let mut got = vec![0; length];
        loop {
            let (flags, kind, cookie, payload) = structured.chunk();
            assert_eq!((kind, cookie), (1, 8));
            let at = usize::try_from(u64::from_be_bytes(payload[..8].try_into().unwrap())).unwrap() - offset;
            got[at..at + payload.len() - 8].copy_from_slice(&payload[8..]);
            if flags == 1 {
                break;
            }
        }
        assert!(got == expected[range]);
    }
    serving.end();
}

#[test]
fn a_read_of_nothing_is_refused_and_any_flush_may_be_forced() {
    let serving = Serving::start(Access::ReadWrite);
    let mut plain = serving.ready(false);
    plain.request(READ, 0, 7, 0, 0);
    assert_eq!(plain.reply(), (22, 7));
    plain.request(FLUSH, FUA, 8, 0, 0);
    assert_eq!(plain.reply(), (0, 8));
    plain.request(FLUSH, 2, 9, 0, 0);
    assert_eq!(plain.reply(), (22, 9));
    let mut structured = serving.ready(true);
    structured.request(READ, 0, 7, 0, 0);
    let (flags, kind, cookie, payload) = structured.chunk();
    assert_eq!((flags, kind, cookie, payload), (1, (1 << 15) + 1, 7, vec![0, 0, 0, 22, 0, 0]));
    serving.end();
}

#[test]
fn writes_flushes_and_zeros_reach_the_disk() {
    let serving = Serving::start(Access::ReadWrite);
    let mut expected = content();
    let mut client = serving.ready(false);
    let data: Vec<u8> = content().into_iter().rev().collect();
    let flushes = || serving.memory.flushes.load(Ordering::SeqCst);
    for (offset, length, flags) in [(3, 10, 0), (100_000, 1 << 20, FUA), (1 << 20, (3 << 20) + 5, 0)] {
        client.request(WRITE, flags, 9, offset as u64, u32::try_from(length).unwrap());
        client.send(&data[..length]);
        assert_eq!(client.reply(), (0, 9));
        expected[offset..offset + length].copy_from_slice(&data[..length]);
        assert_eq!(flushes(), usize::from(offset >= 100_000));
    }
    client.request(ZEROES, FUA | 2, 10, 500_000, 2_000_000);
    assert_eq!(client.reply(), (0, 10));
    expected[500_000..2_500_000].fill(0);
    assert_eq!(flushes(), 2);
    // Written by one, flushed by another.
    client.request(WRITE, 0, 11, 0, 1);
    client.send(&[42]);
    assert_eq!(client.reply(), (0, 11));
    expected[0] = 42;
    let mut other = serving.ready(true);
    other.request(FLUSH, 0, 12, 0, 0);
    assert_eq!(other.reply(), (0, 12));
    assert_eq!(flushes(), 3);
    client.request(WRITE, 0, 13, 1, 1);
    client.send(&[43]);
    assert_eq!(client.reply(), (0, 13));
    expected[1] = 43;
    let memory = serving.memory.clone();
    serving.end();
    assert_eq!(memory.flushes.load(Ordering::SeqCst), 4, "the end flushes");
    assert!(memory.disk.to_vec() == expected);
}

#[test]
fn what_cannot_be_done_is_told_and_the_connection_goes_on() {
    let serving = Serving::start(Access::ReadWrite);
    let mut client = serving.ready(false);
    let size = SIZE as u64;
    for (command, flags, offset, length, errno) in [
        (READ, 0, size - 1, 2, 22),
        (READ, 0, u64::MAX, 2, 22),
        (READ, 0x8000, 0, 1, 22),
        (READ, 0, 0, (32 << 20) + 1, 22),
        (READ, 0, BAD.start - 10, 20, 5),
        (TRIM, 0, 0, 4096, 95),
        (CACHE, 0, 0, 4096, 22),
        (7, 0, 0, 4096, 22),
        (999, 0, 0, 4096, 22),
        (ZEROES, 0, size, 1, 28),
        (ZEROES, 16, 0, 1, 22),
        (ZEROES, 0, BAD.start - 10, 20, 5),
        (FLUSH, 2, 0, 0, 22),
    ] {
        client.request(command, flags, 77, offset, length);
        assert_eq!(client.reply(), (errno, 77), "command {command} at {offset}");
    }
    for (offset, length, errno) in [(size - 1, 2_u32, 28), (BAD.start, 10, 5), (BAD.start - 2_000_000, 2_000_100, 5)] {
        client.request(WRITE, 0, 78, offset, length);
        client.send(&vec![1; length as usize]);
        assert_eq!(client.reply(), (errno, 78), "write at {offset}");
    }
    let mut client = serving.ready(true);
    // In one piece, and behind the first piece.
    for (offset, length) in [(BAD.start, 10), (BAD.start - 1_500_000, 1_600_000)] {
        client.request(READ, 0, 79, offset, length);
        loop {
            let (flags, kind, _, payload) = client.chunk();
            if kind == 1 {
                continue;
            }
            assert_eq!((flags, kind, payload), (1, 0x8001, vec![0, 0, 0, 5, 0, 0]));
            break;
        }
    }
    client.request(FLUSH, 0, 80, 0, 0);
    assert_eq!(client.reply(), (0, 80));
    serving.end();
}

#[test]
fn a_disk_for_reading_stays_as_it_is() {
    let serving = Serving::start(Access::ReadOnly);
    let mut client = serving.ready(false);
    client.request(WRITE, 0, 1, 0, 3_000_000);
    client.send(&vec![1; 3_000_000]);
    assert_eq!(client.reply(), (1, 1));
    client.request(ZEROES, 0, 2, 0, 4096);
    assert_eq!(client.reply(), (1, 2));
    client.request(FLUSH, 0, 3, 0, 0);
    assert_eq!(client.reply(), (0, 3));
    let memory = serving.memory.clone();
    serving.end();
    assert!(memory.disk.to_vec() == content());
}

#[test]
fn many_requests_in_flight_are_all_answered() {
    let serving = Serving::start(Access::ReadOnly);
    let expected = content();
    std::thread::scope(|scope| {
        for reader in 0..6_u64 {
            let (serving, expected) = (&serving, &expected);
            scope.spawn(move || {
                let mut client = serving.ready(false);
                let mut waiting = HashMap::new();
                for cookie in 0..200 {
                    let offset = (cookie * 7919 + reader * 104_729) % 5_000_000;
                    let length = u32::try_from(cookie % 50 * 1000 + 1).unwrap();
                    client.request(READ, 0, cookie, offset, length);
                    waiting.insert(cookie, (usize::try_from(offset).unwrap(), length as usize));
                }
                while !waiting.is_empty() {
                    let (errno, cookie) = client.reply();
                    let (offset, length) = waiting.remove(&cookie).unwrap();
                    assert_eq!(errno, 0);
                    assert!(client.data(length) == expected[offset..offset + length]);
                }
            });
        }
    });
    serving.end();
}
