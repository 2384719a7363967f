//! The service on PostgreSQL: what touches rows that others may touch at the same time, once more on this engine.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use testkit::leaks;
use testkit::postgres::{Database, database};
use vault_server::{Config, DatabaseUrl};

use crate::harness::{Change, Service};

thread_local! {
    static ON_POSTGRES: Cell<bool> = const { Cell::new(false) };
    /// For the first service of the test.
    static FIRST: RefCell<Option<Database>> = const { RefCell::new(None) };
}

/// Runs a test whose services keep everything in PostgreSQL; without it, the test was skipped and said so.
pub(crate) fn on_postgres(test: impl FnOnce()) {
    let Some(database) = database() else { return };
    FIRST.set(Some(database));
    ON_POSTGRES.set(true);
    test();
}

/// Settings of a new service, with a database of its own where this test runs on PostgreSQL. The database goes with the settings.
pub(crate) fn with_engine(change: Change) -> Change {
    if !ON_POSTGRES.get() {
        return change;
    }
    let database = FIRST.take().or_else(database).expect("it was there before");
    Arc::new(move |config: &mut Config| {
        change(config);
        config.database = DatabaseUrl::new(database.url());
    })
}

macro_rules! again {
    ($($module:ident: [$($test:ident),+ $(,)?]),+ $(,)?) => {
        $(mod $module {$(
            #[test]
            fn $test() {
                super::on_postgres(crate::$module::$test);
            }
        )+})+
    };
}

again! {
    authority: [a_session_that_was_ended_is_over, what_is_anothers_does_not_exist,
        a_grant_is_good_for_one_session_one_purpose_one_target_once],
    backup_codes: [ten_codes_are_made_and_each_signs_in_once, a_backup_code_is_spent_by_one_of_many,
        new_codes_need_a_fresh_grant_and_void_the_old_ones],
    deletion: [a_key_is_deleted_after_thirty_days_and_its_device_does_not_bring_it_back,
        an_account_is_deleted_with_everything_and_its_address_is_free],
    enrolment: [a_device_joins_by_code_and_saves_without_a_session, a_wrong_check_code_stops_and_three_kill_the_code,
        a_code_of_another_account_or_too_old_is_refused, a_revoked_device_saves_no_more_and_loses_nothing],
    expiry: [an_invite_is_good_once_and_for_its_time, a_sign_in_that_waits_too_long_for_its_code_is_over],
    export: [the_owner_imports_without_a_device_and_finds_by_blind_index,
        an_export_releases_what_was_asked_for_and_audits_each],
    factors: [wrong_used_and_late_codes_are_told_apart, adding_a_factor_ends_other_sessions_and_the_last_one_stays],
    limits: [saves_over_the_limit_wait_and_are_delivered_later, an_account_holds_so_many_records,
        reveals_are_limited_and_refused_ones_do_not_count, guessing_a_password_locks_the_address_for_a_while,
        guessing_codes_ends_the_sign_in_and_then_locks],
    main_path: [a_key_is_saved_found_and_released_while_two_factor_is_on, the_trail_tells_who_did_what_and_why],
    outbox: [an_answer_that_was_lost_is_asked_for_again, everything_is_there_after_a_restart],
    password: [the_new_password_opens_everything_and_the_old_one_nothing,
        a_sign_in_that_began_before_the_change_is_over],
    races: [a_grant_is_spent_once, a_code_signs_in_once, a_save_that_arrives_several_times_is_stored_once,
        an_invite_makes_one_account, an_address_gets_one_account, saves_of_several_devices_form_one_chain],
    recover: [kit_and_factor_give_a_new_password_and_a_new_kit, a_lost_phone_and_a_lost_password_need_kit_and_backup_code,
        a_recovery_that_is_not_finished_changes_nothing, one_proof_sets_one_password],
    start: [another_origin_is_refused_once_there_is_one, a_database_without_its_keys_is_not_touched],
    strangers: [an_unknown_address_is_answered_like_a_known_one],
}

#[test]
fn nothing_the_database_keeps_holds_the_key_in_any_form() {
    let Some(database) = database() else { return };
    let database = Arc::new(database);
    let url = database.url();
    let service = Service::configured(move |config| config.database = DatabaseUrl::new(url.clone()));
    let owner = service.enrolled("ada@example.org");
    let (password, record) = owner.save_one();
    owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
    let dump = database.dump();
    assert!(dump.len() > 10_000 && leaks::search(&dump, &leaks::forms(&password)).is_empty());
    // The search would have found it.
    let plant = format!("INSERT INTO settings (name, value) VALUES ('planted', '{}')", password.to_text().expose());
    database.sql(&plant).unwrap();
    assert!(!leaks::search(&database.dump(), &leaks::forms(&password)).is_empty());
    // And nothing is left in the data folder but the keys.
    let mut left: Vec<_> =
        std::fs::read_dir(service.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["server.keys"]);
}
