//! A primary with a standby: the primary is killed while devices save, the standby takes its place.

use std::time::Duration;

use testkit::postgres::Postgres;
use vault_client::{RecordId, Standing};

use crate::check::{compare, expect_everything};
use crate::nodes::Nodes;
use crate::people::{Load, Owner, deliver_the_rest, save_while};

/// Kills the primary under load, and goes on with the standby.
fn fail_over(primary: &Postgres, standby: &Postgres, nodes: &mut Nodes, owners: &[Owner], at_least: usize) -> Load {
    let load = save_while(owners, |progress| {
        progress.wait_for(at_least, Duration::from_secs(60));
        assert!(progress.saved() >= at_least, "only {} saves", progress.saved());
        primary.kill();
    });
    standby.promote();
    nodes.move_to(standby.url("postgres"));
    load
}

#[test]
fn no_save_is_lost_with_a_standby_that_is_waited_for() {
    let Some(mut primary) = Postgres::start(&[]) else { return };
    let mut nodes = Nodes::start(2, Some(primary.url("postgres")));
    let owners = [Owner::join(&nodes, "ada", 2), Owner::join(&nodes, "eve", 1)];
    let mut all: Option<Load> = None;
    // Three times, each with a new standby.
    for _ in 0..3 {
        let standby = primary.standby();
        primary.wait_for_standby();
        let load = fail_over(&primary, &standby, &mut nodes, &owners, 60);
        all = Some(match all.take() {
            Some(before) => before.and(load),
            None => load,
        });
        primary = standby;
    }
    let load = all.unwrap();
    // Before anything that waited is sent again: what was confirmed is there by itself.
    let found = compare(&owners, &load);
    assert_eq!(found.lost, 0, "{found:?}");
    deliver_the_rest(&owners);
    let found = expect_everything(&owners, &load);
    eprintln!(
        "3 primaries killed: {} saves acknowledged, {} found, {} lost",
        found.acknowledged, found.records, found.lost
    );
}

/// The same with a standby that is behind and not waited for: what the test above looks for can be found.
#[test]
fn a_standby_that_is_behind_loses_saves_and_it_shows() {
    let Some(primary) = Postgres::start(&[]) else { return };
    let mut nodes = Nodes::start(1, Some(primary.url("postgres")));
    let owners = [Owner::join(&nodes, "ada", 1)];
    let standby = primary.standby();
    standby.stop_following();
    let load = fail_over(&primary, &standby, &mut nodes, &owners, 20);
    // The owner's program sees that the trail is shorter than it was; it is not asked here, only what is there.
    let device = &owners[0].devices[0].client;
    let records = device.records().unwrap();
    let confirmed = |id: &&RecordId| matches!(device.became_of(**id).unwrap(), Some(Standing::Saved { .. }));
    let told: Vec<&RecordId> = load.made[0][0].iter().filter(confirmed).collect();
    let lost = told.iter().filter(|id| !records.iter().any(|record| record.record_id == ***id)).count();
    assert!(lost > 0, "all {} are there, though nothing was sent to the standby", told.len());
    eprintln!("a primary with a standby that was behind: {} saves acknowledged, {lost} lost", told.len());
}
