//! Services from outside: they are started, ended, killed, restarted and replaced, and their clients go on.
#![no_std]
#![no_main]

mod arguments;
mod command;
mod crashes;
mod denials;
mod kit;
mod lives;
mod loads;
mod pings;
mod scripts;
mod updates;
mod users;

suite::suite! {
    [before kit::begin]
    lives {
        boot_services_are_known_by_their_labels,
        a_service_begins_and_ends_on_request,
        nobody_has_the_random_bytes_of_another,
        one_that_cannot_begin_is_gone,
        one_that_never_begins_is_gone,
        one_that_will_not_end_is_ended,
        a_service_begins_anew_on_request
    }
    arguments {
        a_service_has_its_arguments_whatever_becomes_of_it,
        words_are_told_apart_by_spaces_or_zero_bytes,
        arguments_that_cannot_be_read_start_nobody
    }
    scripts {
        a_script_is_told_of_whom_and_why,
        a_script_decides_by_itself,
        nobody_runs_a_script_for_what_runs,
        a_script_that_ends_leaves_a_service_to_its_policy,
        a_script_that_does_not_begin_does_too,
        a_script_that_cannot_be_started_does_too,
        a_script_that_takes_too_long_does_too,
        a_service_that_was_restarted_too_often_is_given_up
    }
    users {
        root_controls_everything,
        no_other_user_does,
        a_service_that_is_root_does,
        nobody_controls_the_root_system_process_and_what_is_no_service
    }
    command {
        the_command_starts_and_ends_services,
        the_command_watches_and_updates_services,
        what_the_command_may_not_do_changes_nothing
    }
    crashes {
        a_service_that_crashes_comes_back_under_its_name,
        whoever_waits_for_it_is_told,
        the_announcement_is_renewed,
        the_data_store_forgets_nothing,
        a_service_that_crashes_and_crashes_waits_and_is_given_up,
        many_crashes_leave_everything_as_it_was
    }
    updates {
        a_new_version_goes_on_with_the_state,
        a_client_that_waits_is_served_by_the_new_version,
        another_layout_of_the_state_is_read,
        a_newer_state_is_refused_and_the_old_version_goes_on,
        a_new_version_that_does_not_begin_is_rolled_back,
        an_old_version_that_is_not_ready_goes_on,
        an_old_version_that_crashes_is_restarted,
        many_updates_leave_everything_as_it_was
    }
    pings {
        a_service_that_is_silent_is_restarted,
        a_service_that_waits_for_nobody_is_restarted,
        a_service_that_computes_for_ever_is_restarted,
        one_that_dies_while_it_sends_is_restarted
    }
    denials {
        nobody_controls_what_the_policy_does_not_name,
        what_stands_in_no_policy_is_denied,
        nobody_else_speaks_for_the_root,
        signals_reach_a_service_once
    }
    loads {
        a_service_is_killed_while_it_is_used,
        a_driver_is_killed_while_it_is_used,
        the_data_store_is_killed_while_it_is_used,
        a_service_is_replaced_while_it_is_used,
        a_driver_is_replaced_while_it_is_used,
        the_data_store_is_replaced_while_it_is_used
    }
}
