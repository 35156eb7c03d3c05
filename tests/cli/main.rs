//! The real program in scratch folders, in an empty environment: stdout, stderr, exit status and every file are
//! looked at.
//!
//! Longer conversations are kept as transcripts in `tests/cli/transcripts/`, as a person would see them, with what
//! differs from run to run replaced. `UPDATE=1` writes them anew, to be reviewed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

mod answers;
mod bases;
mod credentials;
mod exit_codes;
mod forged;
mod forms;
mod guards;
mod hostile;
mod imports;
mod job;
mod saved_plans;
mod schemas;
mod states;
mod surface;

/// What has to wait for a process or for the clock waits side by side; a failure names its thread.
#[test]
fn all_that_has_to_wait() {
    support::together(&[
        (
            "five_calls_in_a_row_without_a_verdict_stop_the_app",
            answers::five_calls_in_a_row_without_a_verdict_stop_the_app,
        ),
        ("a_fault_becomes_the_outcome_that_is_true", answers::a_fault_becomes_the_outcome_that_is_true),
        ("ten_rate_limits_in_a_row_stop_the_tenant", answers::ten_rate_limits_in_a_row_stop_the_tenant),
        ("a_quota_is_kept_and_a_pause_is_said", answers::a_quota_is_kept_and_a_pause_is_said),
        (
            "an_unknown_counts_as_a_drop_and_is_settled_by_the_next_apply",
            answers::an_unknown_counts_as_a_drop_and_is_settled_by_the_next_apply,
        ),
        (
            "an_unknown_stays_open_across_a_later_failure",
            answers::an_unknown_stays_open_across_a_later_failure,
        ),
        (
            "a_ci_job_that_holds_the_lock_is_named_by_its_page",
            exit_codes::a_ci_job_that_holds_the_lock_is_named_by_its_page,
        ),
        (
            "a_platform_that_cannot_be_reached_is_6_and_nothing_is_recorded",
            exit_codes::a_platform_that_cannot_be_reached_is_6_and_nothing_is_recorded,
        ),
        (
            "a_lock_that_is_freed_in_time_is_waited_for",
            exit_codes::a_lock_that_is_freed_in_time_is_waited_for,
        ),
        (
            "ctrl_c_records_what_is_in_flight_and_ends_130",
            exit_codes::ctrl_c_records_what_is_in_flight_and_ends_130,
        ),
        (
            "sigterm_records_what_is_in_flight_and_ends_143",
            exit_codes::sigterm_records_what_is_in_flight_and_ends_143,
        ),
        ("a_call_that_outlasts_the_grace_is_unknown", exit_codes::a_call_that_outlasts_the_grace_is_unknown),
        ("a_second_signal_ends_at_once", exit_codes::a_second_signal_ends_at_once),
        (
            "a_run_that_was_killed_is_finished_by_the_same_command",
            saved_plans::a_run_that_was_killed_is_finished_by_the_same_command,
        ),
    ]);
}
