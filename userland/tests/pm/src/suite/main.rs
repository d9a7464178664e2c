//! The process manager from outside: what user processes see of it, and what is left when they have ended.
#![no_std]
#![no_main]

mod lives;
mod services;
mod signals;
mod start;
mod user;

suite::suite! {
    start {
        the_tree_has_the_first_user_process_as_its_root
    }
    lives {
        every_exit_code_is_told,
        who_dies_of_a_signal_is_told_so,
        many_faults_leave_everything_as_it_was,
        orphans_come_to_the_first_user_process,
        a_wait_ends_when_a_child_does,
        many_at_once_are_ended_as_a_group,
        many_lives_leave_everything_as_it_was
    }
    signals {
        a_handler_runs_once,
        who_waits_is_interrupted,
        timers_come_while_one_runs,
        who_stops_goes_on_when_it_is_told_to,
        who_cannot_be_reached_gets_its_signal_later,
        a_lost_stack_is_the_end_of_its_process_only,
        a_tracer_sees_every_step,
        killing_everybody_leaves_the_services
    }
    services {
        services_are_made_and_leave_nothing,
        users_do_not_make_services,
        a_service_that_exits_as_a_user_is_refused
    }
}
