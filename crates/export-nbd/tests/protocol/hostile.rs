//! Clients that are broken, slow or mean: they harm themselves alone.

use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use export::Access;

use crate::client::{Serving, content};

fn is_well(serving: &Serving) {
    let mut client = serving.ready(false);
    client.request(0, 0, 5, 0, 16);
    assert_eq!(client.reply(), (0, 5));
    assert_eq!(client.data(16), content()[..16]);
}

#[test]
fn garbage_ends_a_connection_and_nothing_else() {
    let serving = Serving::start(Access::ReadWrite);
    let noise = content();
    for (start, stage) in (0..40).flat_map(|start| [(start, 0), (start, 1), (start, 2)]) {
        let noise = &noise[start * 1000..start * 1000 + 3000];
        let mut client = match stage {
            2 => serving.ready(start % 2 == 0),
            _ => serving.client(),
        };
        if stage == 1 {
            client.greet();
        }
        // The server may have gone before all of it was sent.
        let _ = client.stream.write_all(noise);
        let _ = client.stream.shutdown(Shutdown::Write);
        assert!(client.is_closed(), "stage {stage}");
    }
    is_well(&serving);
    let memory = serving.memory.clone();
    serving.end();
    assert!(memory.disk.to_vec() == content());
}

#[test]
fn what_is_announced_is_not_waited_for() {
    let serving = Serving::start(Access::ReadWrite);
    // An option of 4 GiB.
    let mut client = serving.client();
    client.greet();
    client.send(&[b"IHAVEOPT".as_slice(), &7_u32.to_be_bytes(), &u32::MAX.to_be_bytes()].concat());
    assert!(client.is_closed());
    // A write of 4 GiB.
    let mut client = serving.ready(false);
    client.request(1, 0, 6, 0, u32::MAX);
    assert_eq!(client.reply(), (22, 6));
    assert!(client.is_closed());
    // Options without end.
    let mut client = serving.client();
    client.greet();
    for _ in 0..64 {
        client.option(99, &[]);
    }
    for _ in 0..64 {
        client.answer(99);
    }
    assert!(client.is_closed());
    is_well(&serving);
    serving.end();
}

#[test]
fn a_client_that_goes_in_the_middle_of_a_write_changes_nothing() {
    let serving = Serving::start(Access::ReadWrite);
    let mut client = serving.ready(false);
    client.request(1, 0, 6, 0, 500_000);
    client.send(&vec![1; 400_000]);
    client.stream.shutdown(Shutdown::Both).unwrap();
    drop(client);
    is_well(&serving);
    let memory = serving.memory.clone();
    serving.end();
    assert!(memory.disk.to_vec() == content());
}

#[test]
fn silent_clients_hold_up_neither_others_nor_the_end() {
    let serving = Serving::start(Access::ReadWrite);
    let silent: Vec<_> = (0..10)
        .map(|stage| {
            let mut client = serving.client();
            match stage % 3 {
                0 => {}
                1 => client.greet(),
                _ => {
                    client.greet();
                    client.send(b"IHAVE");
                }
            }
            client
        })
        .collect();
    let mut half = serving.ready(false);
    half.request(1, 0, 6, 0, 500_000);
    // One that asks and does not listen.
    let mut deaf = serving.ready(false);
    for cookie in 0..60 {
        deaf.request(0, 0, cookie, 0, 5_000_000);
    }
    is_well(&serving);
    let start = Instant::now();
    serving.end();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    drop((silent, half, deaf));
}

#[test]
fn one_client_too_many_is_turned_away_and_room_comes_back() {
    let serving = Serving::start(Access::ReadOnly);
    let mut clients: Vec<_> = (0..32).map(|_| serving.ready(false)).collect();
    assert!(serving.client().is_closed());
    clients.truncate(20);
    let start = Instant::now();
    loop {
        let mut client = serving.client();
        let mut hello = [0; 8];
        if std::io::Read::read_exact(&mut client.stream, &mut hello).is_ok() {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "no room came back");
        std::thread::sleep(Duration::from_millis(10));
    }
    serving.end();
}
