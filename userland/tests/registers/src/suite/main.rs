//! Not one bit of the kernel's or of another program's data reaches a program's registers. Several programs fill all of
//! theirs with patterns, and check them after traps and after time has passed. Includes what a program finds at its start.
#![no_std]
#![no_main]

mod preempted;
mod start;
mod traps;

use abi::Endpoint;
use suite::{Failure, Text};

suite::suite! {
    traps {
        after_the_death_of_the_partner,
        after_a_kernel_call,
        after_a_failed_kernel_call,
        after_an_unknown_trap,
        after_a_failed_message,
        after_a_notification,
        after_a_send_to_a_waiting_receiver,
        after_a_blocked_send,
        after_a_message_that_waited,
        after_a_blocked_receive,
        after_a_received_notification,
        after_a_thousand_calls_to_a_mirror,
        after_calls_to_echo,
    }
    preempted {
        three_programs_keep_their_registers,
    }
    start {
        a_program_starts_with_nothing_in_its_registers,
    }
}

fn program(name: &str) -> Result<Endpoint, Failure> {
    let missing = || Failure::Failed(Text::new(format_args!("no program {name} in this image")));
    sys::lookup(name).ok_or_else(missing)
}
