//! Tests of the kernel calls from ring 3, on one processor.
#![no_std]
#![no_main]

mod alarms;
mod asynchronous;
mod control;
mod denied;
mod devices;
mod filters;
mod fork;
mod handlers;
mod info;
mod life;
mod memory;
mod nobody;
mod schedule;
mod signals;
mod swap;
mod tracer;

use family::kit;

suite::suite! {
    life {
        a_child_lives_from_fork_to_clear_and_all_comes_back,
        a_slot_used_again_has_the_next_generation,
        a_child_runs_only_with_space_privileges_and_leave,
        a_process_can_be_ended_in_every_state,
        whoever_exits_never_runs_again,
    }
    fork {
        a_child_waits_where_its_parent_waits,
        forks_that_cannot_be,
        a_program_that_starts_anew_gets_no_old_message,
        programs_that_cannot_start,
    }
    signals {
        a_process_with_a_signal_stops_until_its_manager_has_finished,
        signals_before_they_are_taken_are_told_at_once,
        a_signal_after_they_were_taken_keeps_it_stopped,
        only_the_manager_finishes,
        an_exception_is_told_and_gone_on_from,
        numbers_that_are_no_signals,
    }
    handlers {
        a_handler_runs_and_all_registers_come_back,
        frames_that_cannot_be_pushed,
        frames_that_are_none,
        control_bits_of_the_fpu_come_back_as_far_as_there_are_such,
        whoever_waits_for_a_message_gets_no_frame,
    }
    control {
        whoever_is_stopped_does_not_run,
        reasons_to_wait_add_up,
        a_stop_waits_for_the_end_of_sending,
        leave_to_run_is_given_once_and_taken_once,
        the_caller_waits_when_it_yields,
        peers_are_told_when_references_are_cleared,
    }
    tracer {
        one_instruction_at_a_time,
        traps_are_told_before_and_after,
        a_trap_held_back_is_made_when_tracing_ends,
        memory_is_read_and_written,
        registers_are_read_and_written,
    }
    memory {
        a_page_fault_is_told_mapped_and_gone_on_from,
        a_call_that_needs_memory_waits_for_it,
        a_call_fails_if_there_is_no_memory_for_it,
        memory_of_a_child_is_filled,
        the_place_of_memory_is_told,
        nobody_moves_while_he_runs,
    }
    schedule {
        one_message_for_each_turn,
        the_kernel_takes_over_where_the_scheduler_lets_go,
        the_kernel_takes_over_where_the_scheduler_dies,
        a_forged_message_is_told_by_its_status,
        the_urgent_run_first,
        turns_that_cannot_be,
    }
    devices {
        a_line_is_masked_until_it_is_enabled,
        hooks_that_cannot_be,
        ports_outside_the_range,
        strings_of_accesses,
        lists_of_accesses,
    }
    alarms {
        an_alarm_comes_once,
        an_alarm_is_replaced_or_cancelled,
        what_is_past_comes_at_once,
        each_has_its_own,
    }
    swap {
        a_client_gets_the_answer_of_the_new_instance,
        what_was_on_its_way_reaches_the_new_instance,
        there_and_back_again,
        a_failing_instance_that_sends_is_taken_back,
        swaps_that_cannot_be,
    }
    asynchronous {
        a_message_waits_in_the_table_of_its_sender,
        a_message_to_the_dead_has_their_error,
        a_table_dies_with_its_owner,
    }
    filters {
        what_is_filtered_waits,
        filters_that_cannot_be,
    }
    info {
        the_machine_is_told,
        processes_are_told,
        the_time_of_day_is_kept,
    }
    denied {
        whoever_may_make_no_calls_makes_none,
        whoever_may_make_one_call_makes_that,
        what_only_the_root_may_do,
    }
    nobody { calls_about_nobody_change_nothing }
}
