//! Stopping: what is under way is finished, what was acknowledged is kept.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use vault_client::Outcome;
use vault_server::Limits;

use crate::harness::{Service, key_to_save};

fn generous() -> Limits {
    Limits { saves_per_device: 100_000, new_keys_per_device: 100_000, ..Limits::default() }
}

#[test]
fn a_stop_under_load_loses_no_acknowledged_save_and_cuts_no_answer() {
    let mut service = Service::with_limits(generous());
    let mut owners: Vec<_> =
        ["ada@example.org", "bob@example.org", "eve@example.org"].map(|mail| service.enrolled(mail)).into();
    let (address, stop) = (service.address(), AtomicBool::new(false));
    let answered = AtomicUsize::new(0);
    let saved: Vec<usize> = std::thread::scope(|scope| {
        let savers: Vec<_> = owners
            .iter()
            .map(|owner| {
                let stop = &stop;
                scope.spawn(move || {
                    let mut saved = 0;
                    while !stop.load(Ordering::SeqCst) {
                        match owner.client().save(&key_to_save()).unwrap() {
                            Outcome::Saved { .. } => saved += 1,
                            Outcome::Waiting { .. } => return saved,
                        }
                    }
                    saved
                })
            })
            .collect();
        for _ in 0..3 {
            let (stop, answered) = (&stop, &answered);
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let Ok(mut stream) = TcpStream::connect(address) else { return };
                    if stream.write_all(b"GET /v1/server HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").is_err() {
                        return;
                    }
                    let mut answer = Vec::new();
                    let _ = stream.read_to_end(&mut answer);
                    // Either all of an answer, or none because the request was never taken.
                    if !answer.is_empty() {
                        let text = String::from_utf8(answer).unwrap();
                        let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
                        assert!(head.to_lowercase().contains(&format!("content-length: {}", body.len())), "{text}");
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_secs(2));
        let begun = Instant::now();
        service.stop();
        assert!(begun.elapsed() < Duration::from_secs(20), "stopping took {:?}", begun.elapsed());
        stop.store(true, Ordering::SeqCst);
        savers.into_iter().map(|saver| saver.join().unwrap()).collect()
    });
    assert!(saved.iter().sum::<usize>() > 5 && answered.load(Ordering::SeqCst) > 5, "{saved:?} {answered:?}");
    service.run();
    for (owner, saved) in owners.iter_mut().zip(saved) {
        let kept = owner.client().records().unwrap().len();
        // The one that was not acknowledged may have been stored.
        assert!((saved..=saved + 1).contains(&kept), "{saved} were acknowledged, {kept} are there");
        let report = owner.client().audit_verify().unwrap();
        assert!(report.problems.is_empty() && report.receipts >= saved, "{report:?}");
    }
}

fn half_a_request(service: &Service) -> (TcpStream, &'static [u8]) {
    let body = br#"{"email":"ada@example.org"}"#;
    let mut stream = TcpStream::connect(service.address()).unwrap();
    let head = format!(
        "POST /v1/signup/start HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body[..10]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    (stream, &body[10..])
}

#[test]
fn a_request_under_way_is_answered_after_the_stop() {
    let mut service = Service::start();
    let (mut stream, rest) = half_a_request(&service);
    let address = service.address();
    let finishing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        assert!(TcpStream::connect(address).is_err(), "nobody new is taken");
        stream.write_all(rest).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    service.stop();
    let answer = finishing.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
}

#[test]
fn a_request_that_never_ends_does_not_keep_the_service() {
    let mut service = Service::configured(|config| config.network.stop_time = Duration::from_secs(1));
    let (stream, _) = half_a_request(&service);
    let idle = TcpStream::connect(service.address()).unwrap();
    let begun = Instant::now();
    service.stop();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    drop((stream, idle));
    service.run();
}
