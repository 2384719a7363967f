//! `kill -9` of the service, again and again, while devices save.

use std::time::{Duration, Instant};

use testkit::postgres::database;

use crate::check::expect_everything;
use crate::nodes::Nodes;
use crate::people::{Owner, deliver_the_rest, save_while};

/// How often.
const KILLS: usize = 200;

fn random_below(limit: u64) -> u64 {
    let mut bytes = [0; 8];
    secret::random_bytes(&mut bytes);
    u64::from_le_bytes(bytes) % limit
}

/// Kills one of the processes at a random moment, starts it again, and so on; then looks.
fn killed_again_and_again(engine: &str, mut nodes: Nodes) {
    let owners = [Owner::join(&nodes, "ada", 2), Owner::join(&nodes, "eve", 2)];
    let begun = Instant::now();
    let load = save_while(&owners, |progress| {
        for _ in 0..KILLS {
            // Not before something was saved since the last one: a service that never comes to its work proves nothing.
            progress.wait_for(1, Duration::from_secs(10));
            std::thread::sleep(Duration::from_micros(random_below(60_000)));
            let n = usize::try_from(random_below(nodes.count() as u64)).unwrap();
            nodes.kill(n);
            nodes.run(n);
        }
    });
    deliver_the_rest(&owners);
    let found = expect_everything(&owners, &load);
    assert!(found.acknowledged > KILLS && load.cut_off > KILLS / 10, "{found:?}, {} cut off", load.cut_off);
    assert!(!nodes.logged().contains("panicked"), "{}", nodes.logged());
    eprintln!(
        "{engine}: {KILLS} kills in {:.0?}, {} requests without an answer; {} saves acknowledged, {} found, {} lost",
        begun.elapsed(),
        load.cut_off,
        found.acknowledged,
        found.records,
        found.lost
    );
}

#[test]
fn no_save_is_lost_on_sqlite() {
    let nodes = Nodes::start(1, None);
    killed_again_and_again("SQLite", nodes);
}

#[test]
fn no_save_is_lost_on_postgresql() {
    let Some(database) = database() else { return };
    killed_again_and_again("PostgreSQL, 3 processes", Nodes::start(3, Some(database.url())));
}

/// The database itself is killed, and comes back with what is on its disk.
#[test]
fn no_save_is_lost_with_its_database() {
    let Some(mut server) = testkit::postgres::Postgres::start(&[]) else { return };
    let nodes = Nodes::start(2, Some(server.url("postgres")));
    let owners = [Owner::join(&nodes, "ada", 2), Owner::join(&nodes, "eve", 2)];
    let load = save_while(&owners, |progress| {
        for _ in 0..10 {
            progress.wait_for(5, Duration::from_secs(30));
            std::thread::sleep(Duration::from_micros(random_below(60_000)));
            server.kill();
            server.restart();
        }
        progress.wait_for(5, Duration::from_secs(30));
    });
    deliver_the_rest(&owners);
    let found = expect_everything(&owners, &load);
    assert!(found.acknowledged > 50, "{found:?}");
    eprintln!("PostgreSQL killed 10 times: {} saves acknowledged, {} found", found.acknowledged, found.records);
}
