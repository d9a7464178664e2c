//! Tests of what one processor does to a process that runs on another. They need two processors, and use what there is.
#![no_std]
#![no_main]

mod elsewhere;
mod ends;
mod memory;
mod moves;
mod signals;
mod stops;
mod swaps;
mod time;

suite::suite! {
    stops {
        whoever_is_stopped_elsewhere_executes_nothing_more,
        two_processors_stop_each_other,
        whoever_is_stopped_in_a_trap_starts_anew_where_it_should,
    }
    ends {
        whoever_is_ended_elsewhere_executes_nothing_more,
        a_request_for_the_dead_hits_nobody_else,
    }
    moves {
        a_busy_process_moves_and_keeps_its_registers,
        processors_that_are_none,
    }
    memory {
        a_page_taken_away_is_written_no_more,
        a_page_made_read_only_is_written_no_more,
    }
    signals {
        an_exception_elsewhere_is_dealt_with_here,
        a_handler_interrupts_a_process_elsewhere,
    }
    swaps { clients_notice_nothing_of_swaps }
    time {
        alarms_come_whatever_the_others_do,
        all_time_is_somebodys,
    }
}
