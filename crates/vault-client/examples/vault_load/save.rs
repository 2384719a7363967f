//! Prepared saves, sent over many connections at once: as fast as they are answered, or at a steady pace.
//!
//! At a pace, a save's time counts from the moment it was due: one that had to wait for its connection is not flattered.

use std::fs;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::times::Times;
use crate::wire::Wire;

/// Which of the prepared saves, over how many connections.
pub(crate) struct Load {
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) at_once: usize,
}

pub(crate) fn run(origin: &str, folder: &Path, load: &Load, per_second: Option<usize>) -> String {
    let requests = Arc::new(read(&folder.join("saves.bin"), load));
    assert_eq!(requests.len(), load.count, "so many saves were prepared");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (times, elapsed, refused) = runtime.block_on(async {
        let mut wires = Vec::new();
        for computer in 0..load.at_once {
            wires.push(Wire::connect(origin, computer).await.unwrap());
        }
        let next = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let work =
            wires.into_iter().map(|wire| tokio::spawn(send(wire, requests.clone(), next.clone(), begun, per_second)));
        let (mut times, mut refused) = (Times::default(), 0);
        for work in work.collect::<Vec<_>>() {
            let (some, no) = work.await.unwrap();
            times.extend(some);
            refused += no;
        }
        (times, begun.elapsed(), refused)
    });
    json!({ "saves": load.count - refused, "refused": refused, "seconds": elapsed.as_secs_f64(), "times": times.quantiles() })
        .to_string()
}

async fn send(
    mut wire: Wire,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
    begun: Instant,
    per_second: Option<usize>,
) -> (Times, usize) {
    let (mut times, mut refused) = (Times::default(), 0);
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(n) else { return (times, refused) };
        let mut due = Instant::now();
        if let Some(per_second) = per_second {
            due = begun
                + Duration::from_secs_f64(
                    f64::from(u32::try_from(n).unwrap()) / f64::from(u32::try_from(per_second).unwrap()),
                );
            tokio::time::sleep_until(due.into()).await;
        }
        let (status, body) = wire.exchange(request).await.unwrap();
        if status == 201 {
            times.push(due.elapsed());
        } else {
            if refused == 0 {
                eprintln!("status {status}: {}", String::from_utf8_lossy(body));
            }
            refused += 1;
        }
    }
}

fn read(file: &Path, load: &Load) -> Vec<Vec<u8>> {
    let mut file = BufReader::with_capacity(1 << 20, fs::File::open(file).unwrap());
    let mut requests = Vec::with_capacity(load.count);
    for n in 0..load.first + load.count {
        let mut length = [0; 4];
        file.read_exact(&mut length).unwrap();
        let mut request = vec![0; usize::try_from(u32::from_le_bytes(length)).unwrap()];
        file.read_exact(&mut request).unwrap();
        if n >= load.first {
            requests.push(request);
        }
    }
    requests
}
