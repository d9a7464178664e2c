//! Tests of messages and kernel calls, between several programs of one image. All of the programs but `echo`, which is
//! less urgent than the others, do nothing without an order: see [`peers`].
#![no_std]
#![no_main]

mod deadlock;
mod death;
mod denied;
mod kernel_calls;
mod notify;
mod order;
mod peers;
mod reply;
mod root;

suite::suite! {
    order {
        a_queued_message_arrives_whole,
        a_message_to_a_waiting_receiver_arrives_whole,
        senders_are_served_in_turn,
        receiving_from_one_passes_over_the_others,
        a_tag_comes_back_with_the_answer,
    }
    notify {
        a_notification_says_nothing_but_who_and_when,
        a_notification_comes_before_a_queued_sender,
        notifications_come_once_each_and_lowest_first,
        receiving_from_one_leaves_the_notifications_of_others,
        a_notification_waits_for_the_end_of_sendrec,
        a_forged_notification_is_told_by_its_status,
    }
    denied {
        dead_endpoints,
        any_is_no_destination,
        kernel_names_take_no_messages,
        receiving_from_nobody,
        unknown_traps,
        sendnb_to_somebody_busy,
        the_target_is_checked_before_the_trap,
    }
    deadlock {
        two_that_send_to_each_other,
        two_that_receive_from_each_other,
        a_circle_of_three,
        sending_to_oneself,
        a_failed_sendrec_leaves_no_trace,
    }
    reply {
        an_answer_needs_no_right_to_send,
        answers_and_receives_what_waits,
        a_failed_answer_is_told_by_the_status,
        an_answer_to_nobody_receives_all_the_same,
    }
    root {
        everybody_has_the_privileges_of_the_boot_table,
        the_root_system_process_manages_itself,
        whoever_has_no_process_has_no_privileges,
        requests_to_the_root_system_process_are_refused,
        messages_that_want_no_answer_get_none,
    }
    kernel_calls {
        every_unknown_number,
        a_call_outside_the_mask,
        arguments_that_are_none,
        text_that_cannot_be_read,
        the_boot_table_is_told,
        time_goes_on,
    }
    death {
        whoever_is_in_sendrec_is_told,
        whoever_receives_from_the_dead_is_told,
        whoever_sends_to_the_dead_is_told,
        whoever_receives_from_anybody_goes_on_waiting,
        the_dead_stay_dead,
    }
}
