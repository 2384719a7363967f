//! `solve`: keys with digits that are missing, doubtful, wrong or swapped, on a real volume.

use crate::harness::Bench;

/// A drive, its recovery key in groups, and the bench.
fn drive() -> (Bench, Vec<String>) {
    let bench = Bench::new();
    bench.run("create d.img --size 64M --filesystem none --used-space-only --recovery-out key").text();
    let key = testkit::recovery_password_in(&std::fs::read(bench.path("key")).unwrap()).unwrap();
    let groups = key.to_text().expose().split('-').map(str::to_owned).collect();
    (bench, groups)
}

fn solve(bench: &Bench, groups: &[String], options: &str) -> serde_json::Value {
    std::fs::write(bench.path("digits"), groups.join("-")).unwrap();
    bench.run(&format!("solve d.img --digits-file digits {options} --json")).json()
}

/// The other digit of a group, so that its check digit no longer fits.
fn mistyped(group: &str) -> String {
    let last = group.chars().last().unwrap().to_digit(10).unwrap();
    format!("{}{}", &group[..5], (last + 3) % 10)
}

#[test]
fn missing_doubtful_and_wrong_digits_are_found() {
    let (bench, right) = drive();
    let mut read = right.clone();
    read[3] = format!("{}??{}", &right[3][..3], &right[3][5..]);
    read[6] = format!("[0123456789]{}", &right[6][1..]);
    let found = solve(&bench, &read, "--errors 0");
    assert_eq!(found["recovery_password"], right.join("-"));

    let mut wrong = right.clone();
    wrong[0] = mistyped(&right[0]);
    let found = solve(&bench, &wrong, "--recovery-out found.txt");
    assert!(found.get("recovery_password").is_none(), "{found}");
    let file = testkit::recovery_password_in(&std::fs::read(bench.path("found.txt")).unwrap()).unwrap();
    assert_eq!(file.to_text().expose(), right.join("-"));
}

#[test]
fn groups_that_changed_places_are_found() {
    let (bench, right) = drive();
    let mut read = right.clone();
    read.swap(1, 5);
    assert_eq!(solve(&bench, &read, "--errors 0 --swapped-groups")["recovery_password"], right.join("-"));
}

#[test]
fn what_cannot_be_found_is_told_before_and_after() {
    let (bench, right) = drive();
    let mut wrong = right.clone();
    wrong[2] = mistyped(&right[2]);
    std::fs::write(bench.path("digits"), wrong.join("-")).unwrap();
    let ran = bench.run("solve d.img --digits-file digits --errors 0");
    let said = ran.refused(1);
    assert!(said.contains("group 3") && said.contains("--errors 1"), "{said}");

    // A right key of another drive.
    let (_, other) = drive();
    std::fs::write(bench.path("digits"), other.join("-")).unwrap();
    let ran = bench.run("solve d.img --digits-file digits --errors 0");
    assert!(ran.refused(1).contains("none of 1 candidates"), "{ran:?}");

    std::fs::write(bench.path("digits"), "??????-".repeat(8)).unwrap();
    bench.run("solve d.img --digits-file digits").refused(1);
    std::fs::write(bench.path("digits"), "1234").unwrap();
    let ran = bench.run("solve d.img --digits-file digits");
    assert!(ran.refused(2).contains("48 digits") && !ran.stderr.contains("1234"), "{ran:?}");
}

/// What a file of `--resume-file` says of a search: the top of its hash.
fn check(search: &str) -> u16 {
    let hash = search
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    u16::try_from(hash >> 48).unwrap()
}

#[test]
fn a_search_is_counted_beforehand_and_goes_on_where_it_stopped() {
    let (bench, right) = drive();
    let mut read = right.clone();
    read[7] = "??????".to_owned();
    let told = solve(&bench, &read, "--errors 0 --count");
    assert_eq!((told["candidates"].as_u64(), told["tried"].as_u64()), (Some(65_536), Some(0)));
    // As a search that was killed leaves it, just before the right key.
    let volume = bench.run("info d.img --json").json()["volume_identifier"].as_str().unwrap().to_owned();
    let number = right[7].parse::<u64>().unwrap() / 11;
    let info = bench.run("info d.img --json").json();
    let protectors = info["protectors"].as_array().unwrap().iter();
    let recovery =
        protectors.filter(|it| it["kind"] == "recovery password").map(|it| it["identifier"].as_str().unwrap());
    let check = check(&[&read.concat(), "\0\0", &recovery.collect::<String>()].concat());
    let state = |check: u16| serde_json::json!({ "volume": volume, "candidates": 65_536, "check": check, "tried": number.saturating_sub(3) });
    // Of a search with as many candidates and other digits.
    std::fs::write(bench.path("state"), state(check ^ 1).to_string()).unwrap();
    let ran = bench.run("solve d.img --digits-file digits --errors 0 --resume-file state");
    assert!(ran.refused(2).contains("another search"), "{ran:?}");
    std::fs::write(bench.path("state"), state(check).to_string()).unwrap();
    // A key that could not be written down is not looked for.
    let ran = bench.run("solve d.img --digits-file digits --errors 0 --resume-file state --recovery-out key");
    assert!(ran.refused(2).contains("is there already"), "{ran:?}");
    assert!(bench.run("solve d.img --digits-file digits --recovery-out nowhere/key").refused(2).contains("no folder"));
    assert!(bench.path("state").exists());
    assert_eq!(solve(&bench, &read, "--errors 0 --resume-file state")["recovery_password"], right.join("-"));
    assert!(!bench.path("state").exists());
    // Of another search: not taken for this one.
    let state = serde_json::json!({ "volume": volume, "candidates": 7, "tried": 3 });
    std::fs::write(bench.path("state"), state.to_string()).unwrap();
    bench.run("solve d.img --digits-file digits --errors 0 --resume-file state").refused(2);
}
