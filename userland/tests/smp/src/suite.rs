//! Tests of programs on several processors. All of them hold on one processor too, where everything runs in turns.
#![no_std]
#![no_main]

mod messages;
mod time;

suite::suite! {
    messages { calls_to_other_processors, notifications_wake_other_processors, clients_on_all_processors }
    time { equals_share_a_processor, the_urgent_interrupt_others, the_dead_leave_their_processor }
}
