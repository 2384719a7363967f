//! From a connection to a disk.

use export::Access;

use crate::client::{SIZE, Serving, go};

const UNSUPPORTED: u32 = (1 << 31) + 1;
const INVALID: u32 = (1 << 31) + 3;
const UNKNOWN: u32 = (1 << 31) + 6;

#[test]
fn the_oldest_way_gives_size_and_flags() {
    let serving = Serving::start(Access::ReadWrite);
    let mut client = serving.client();
    client.greet();
    client.option(1, b"volume");
    assert_eq!(client.receive::<8>(), (SIZE as u64).to_be_bytes());
    // Flags, flush, FUA, zeros, several connections.
    assert_eq!(u16::from_be_bytes(client.receive()), 0b1_0100_1101);
    client.request(3, 0, 1, 0, 0);
    assert_eq!(client.reply(), (0, 1));

    // A client that wants the zeros of old gets them.
    let mut client = serving.client();
    client.receive::<18>();
    client.send(&1_u32.to_be_bytes());
    client.option(1, b"");
    assert!(client.data(134)[10..].iter().all(|byte| *byte == 0));
    client.request(3, 0, 2, 0, 0);
    assert_eq!(client.reply(), (0, 2));

    let mut client = serving.client();
    client.greet();
    client.option(1, b"another");
    assert!(client.is_closed());
    serving.end();
}

#[test]
fn options_are_answered_and_wrong_ones_refused() {
    let serving = Serving::start(Access::ReadOnly);
    let mut client = serving.client();
    client.greet();
    // List of context, extended headers, and some that nobody knows.
    for option in [9, 10, 11, 99, 0, u32::MAX] {
        client.option(option, b"whatever");
        assert_eq!(client.answer(option).0, UNSUPPORTED, "{option}");
    }
    client.option(5, &[]);
    assert_eq!(client.answer(5).0, UNSUPPORTED);
    client.option(3, &[]);
    assert_eq!(client.answer(3), (2, [&6_u32.to_be_bytes()[..], b"volume"].concat()));
    assert_eq!(client.answer(3).0, 1);
    client.option(3, b"x");
    assert_eq!(client.answer(3).0, INVALID);
    client.option(8, b"x");
    assert_eq!(client.answer(8).0, INVALID);
    client.option(6, &go("other", &[]));
    assert_eq!(client.answer(6).0, UNKNOWN);
    let good = go("volume", &[1, 2, 3, 77]);
    for cut in 0..good.len() {
        client.option(6, &good[..cut]);
        assert_eq!(client.answer(6).0, INVALID, "{cut} bytes");
    }
    for malformed in [vec![0xFF; 12], [good.as_slice(), b"x"].concat()] {
        client.option(7, &malformed);
        assert_eq!(client.answer(7).0, INVALID);
    }

    client.option(7, &good);
    let mut answers = Vec::new();
    loop {
        match client.answer(7) {
            (1, _) => break,
            (kind, data) => answers.push((kind, u16::from_be_bytes([data[0], data[1]]), data[2..].to_vec())),
        }
    }
    let kinds: Vec<u16> = answers.iter().map(|(kind, info, _)| u16::try_from(*kind).unwrap() * 100 + info).collect();
    assert_eq!(kinds, [300, 303, 301, 302]);
    assert_eq!(answers[0].2[8..], 0b1_0000_1111_u16.to_be_bytes(), "read-only, no zeros");
    assert_eq!(answers[1].2[8..], (32_u32 << 20).to_be_bytes());
    assert_eq!(answers[2].2, b"volume");
    client.request(2, 0, 0, 0, 0);
    assert!(client.is_closed());
    serving.end();
}

#[test]
fn a_client_may_go_before_it_has_anything() {
    let serving = Serving::start(Access::ReadOnly);
    let mut client = serving.client();
    client.greet();
    client.option(2, &[]);
    assert_eq!(client.answer(2).0, 1);
    assert!(client.is_closed());
    serving.end();
}
