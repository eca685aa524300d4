//! The list of promises, to be asked of a database where `bench` makes a new ledger.

/// Runs each function of a list as a test of its own.
macro_rules! conforms {
    ($($module:ident :: $promise:ident),* $(,)?) => { $(
        #[tokio::test]
        async fn $promise() {
            crate::$module::$promise(bench().await).await;
        }
    )* };
}

/// The whole suite, in a module that has `async fn bench()`.
macro_rules! suite {
    () => {
        conforms! {
            conformance::a_range_written_twice_counts_once,
            conformance::a_range_that_does_not_follow_is_fenced,
            conformance::an_id_is_charged_once_within_a_batch_and_over_batches,
            conformance::a_click_is_no_repeat_of_a_conversion,
            conformance::what_cannot_be_attributed_is_counted_as_such,
            conformance::poison_and_gaps_are_counted_by_their_ranges,
            conformance::an_overflow_stops_the_campaign_and_never_wraps,
            conformance::sums_past_64_bits_are_kept_exactly,
            conformance::a_range_may_hold_more_than_any_account,
            conformance::two_partitions_do_not_meet,
            conformance::folded_ranges_keep_their_sums,
            conformance::an_id_past_the_horizon_is_forgotten,
            conformance::ids_are_forgotten_slice_by_slice_and_none_that_is_young,
            budgets::a_total_budget_stops_when_spent_reaches_it,
            budgets::a_budget_of_nothing_is_reached_at_once,
            budgets::events_of_a_stopped_campaign_are_charged_as_overspend,
            budgets::an_advertisers_balance_stops_all_its_campaigns,
            budgets::a_daily_budget_is_over_at_the_campaigns_midnight,
            budgets::late_events_never_cause_a_daily_stop,
            budgets::a_day_that_was_used_up_ahead_stops_at_its_midnight,
            budgets::days_follow_the_zones_change_of_clocks,
            budgets::a_half_hour_zone_splits_its_hours_at_midnight,
            control::resume_takes_away_the_operator_alone,
            control::a_raised_budget_lets_the_campaign_serve_again,
            control::a_top_up_lets_all_campaigns_serve_again,
            control::adjustments_change_what_is_spent_and_are_never_changed,
            control::every_change_has_its_audit_row,
            control::what_breaks_a_rule_is_refused_and_changes_nothing,
            catalogue::an_import_comes_back_in_an_export,
            catalogue::the_same_import_again_changes_nothing,
            catalogue::prices_hold_by_versions,
            catalogue::a_refused_import_leaves_everything_as_it_was,
            catalogue::an_import_applies_its_budgets_at_once,
            publishing::the_outbox_says_what_the_ledger_says,
            publishing::a_version_means_one_state_for_ever,
            publishing::a_balance_is_told_for_every_campaign,
            publishing::kpis_are_told_once_per_change,
            accounts::the_first_user_is_added_once,
            accounts::people_come_back_as_they_were_added_and_changed,
            accounts::the_last_admin_stays,
            accounts::a_session_ends_with_its_password_or_its_person,
            accounts::sessions_are_bounded_and_old_ones_are_forgotten,
            accounts::tokens_come_back_until_they_are_revoked,
            publishing::old_outbox_rows_go_but_the_newest_state_stays,
            views::campaigns_are_found_by_name_payer_and_state,
            views::the_directory_has_every_campaign,
            views::lines_say_what_was_charged_by_hour_and_type,
            views::a_history_lists_what_was_told_of_one_campaign,
        }
    };
}
