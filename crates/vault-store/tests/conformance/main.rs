//! One suite for every implementation of [`Store`]: a case is a function over any store, an implementation is a
//! function that makes an empty one. What an implementation adds of its own is tested beside it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod accounts;
mod backup_codes;
mod deletions;
mod devices;
mod fixture;
mod generations;
mod log;
mod orders;
mod outbox;
mod passkeys;
mod passwords;
#[cfg(unix)]
mod postgres;
mod presence;
mod records;
mod sign_ins;
mod sqlite;
mod waits;

/// Runs every case of the suite on a fresh store each.
macro_rules! conformance {
    ($make:path) => {
        $crate::conformance! { $make =>
            accounts: [creating_makes_everything_at_once, a_mail_has_one_account, an_invite_is_spent_once,
                an_invite_expires, parallel_sign_ups_share_one_invite],
            presence: [ceremony_tries_run_out, a_ceremony_and_its_grant_are_one, a_slot_that_is_gone_begins_nothing,
                a_ceremony_ends_once, a_ceremony_moves_on_once, a_grant_is_spent_once,
                a_grant_fits_one_use_only, parallel_uses_of_a_grant, a_time_step_is_used_once,
                parallel_uses_of_a_time_step, adding_a_factor_begins_an_epoch, only_the_first_factor_needs_no_grant,
                an_ended_session_adds_no_factor, the_last_factor_stays, a_factor_does_not_confirm_its_own_removal,
                factors_have_names_of_their_own_and_a_limit,
                counters_count, a_setting_keeps_its_first_value, the_sweep_forgets_what_is_over],
            backup_codes: [a_backup_code_is_used_once, parallel_uses_of_a_backup_code,
                new_backup_codes_void_the_old_ones, a_refused_set_changes_nothing],
            passkeys: [a_passkey_is_a_factor_with_a_name_of_its_own, a_passkeys_counter_only_rises,
                parallel_uses_of_a_counter, a_passkeys_slot_takes_the_place_of_its_earlier_one,
                a_refused_slot_changes_nothing, slots_are_retired_by_name, a_removed_passkey_takes_its_slot_along],
            passwords: [a_new_password_replaces_record_and_slot, a_new_password_can_end_every_session,
                a_refused_password_changes_nothing, parallel_new_passwords],
            outbox: [a_notice_comes_with_its_act_or_not_at_all, one_claims_a_notice_for_a_while],
            waits: [a_delay_begins_once_and_ends_once, two_factor_goes_off_when_it_is_due_and_whole, what_was_not_announced_does_not_come_true,
                a_delay_spends_what_it_begins_with_and_is_rationed,
                a_reset_is_claimed_when_it_is_due_and_done_by_the_new_factor, another_new_factor_cancels_the_delays,
                one_looks_after_a_delay, the_latest_time_never_goes_back, a_new_kit_replaces_the_one_before],
            deletions: [a_record_is_deleted_when_it_is_due_and_for_good, a_deletion_needs_its_record_and_can_be_cancelled,
                a_deletion_that_was_not_announced_does_not_happen, an_account_is_deleted_with_everything_that_opens_it],
            generations: [new_keys_come_when_they_are_due_and_whole, what_the_former_kit_opens_stays,
                who_has_a_password_needs_no_new_keys],
            devices: [enrolling_spends_the_grant, a_device_of_another_account_is_not_found, revoking_is_final,
                a_code_is_claimed_by_one_account, three_tries_kill_a_code, an_expired_code_is_dead,
                a_tag_is_set_once, an_answer_needs_the_device_that_was_looked_up],
            orders: [an_order_needs_a_record_of_its_active_device, a_record_has_one_order_at_a_time, an_order_ends_once,
                parallel_reports_end_an_order_once, notes_are_for_own_and_ordered_records, a_device_gets_another_name,
                a_copy_takes_the_place_of_a_damaged_record],
            sign_ins: [a_run_begins_where_there_is_a_place, tries_and_places_run_out_together, a_sign_in_ends_once_and_whole],
            records: [a_save_is_idempotent, other_bytes_conflict, a_revoked_device_saves_nothing, the_quota_holds,
                listing_never_carries_the_secret, superseding_keeps_the_old_one, a_record_of_another_account_is_not_found,
                release_spends_and_audits, a_refused_release_spends_nothing, releasing_several_audits_each,
                a_refused_release_of_several_releases_none, parallel_saves_make_one_chain,
                parallel_sends_of_one_save_store_it_once, a_save_takes_its_place,
                a_known_key_takes_no_place_of_new_ones, a_refused_save_takes_no_place,
                a_save_has_several_index_entries_or_none, superseding_makes_room,
                parallel_saves_share_the_places_of_a_window, parallel_saves_fill_an_account_exactly,
                no_save_comes_after_the_end_of_its_device, retired_records_make_room],
            log: [the_log_begins_once, entries_get_their_places, many_keepers_and_saves_at_once,
                a_keeper_that_stops_half_way_leaves_nothing],
        }
    };
    ($make:path => $($module:ident: [$($case:ident),+ $(,)?]),+ $(,)?) => {
        $(mod $module {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                // Without the engine the case was skipped, and said so.
                let Some(made) = $make().await else { return };
                crate::$module::$case(&*made.store).await;
            }
        )+})+
    };
}
pub(crate) use conformance;
