//! The memory server from outside: what processes see of their memory, and what comes back when they have ended.
#![no_std]
#![no_main]

mod copies;
mod denials;
mod execs;
mod exhaustion;
mod faults;
mod files;
mod forks;
mod huge;
mod lending;
mod maps;
mod player;
mod programs;
mod sharing;

/// The stand-in of the file server has begun, and has all that it needs for that.
fn wait_for_others() -> Result<(), abi::Errno> {
    files::told().map(drop)
}

suite::suite! {
    maps {
        new_memory_is_zero_and_all_frames_come_back,
        memory_is_touched_before_it_is_there,
        a_wish_is_granted_if_it_can_be,
        at_an_address_the_old_goes,
        wrong_maps_are_refused,
        a_hole_in_the_middle,
        access_is_what_was_asked_for,
        contiguous_memory_is_contiguous,
        the_data_segment_grows_and_shrinks
    }
    faults {
        who_touches_what_is_not_there_gets_a_signal,
        text_is_not_written_and_data_is_not_executed,
        a_forged_fault_is_nothing
    }
    forks {
        what_one_writes_the_other_does_not_see,
        reading_takes_no_memory,
        children_of_children_have_their_own,
        many_forks_leave_everything_as_it_was,
        two_hundred_at_once,
        a_process_begins_anew
    }
    execs {
        many_segments_have_what_the_file_says,
        a_gigabyte_of_zeros_takes_what_is_touched,
        a_movable_program_is_moved,
        no_two_programs_have_the_same_random_bytes_and_place,
        the_stack_tells_all_that_a_program_wants_to_know,
        arguments_may_be_many_but_not_too_many,
        a_bad_file_leaves_the_old_program,
        without_memory_the_process_can_only_be_ended,
        many_programs_leave_everything_as_it_was
    }
    sharing {
        shared_memory_is_shared_over_forks,
        another_maps_a_region,
        a_read_only_view_is_not_written,
        a_part_of_a_region_is_refused,
        the_first_may_end_before_the_last
    }
    copies {
        the_kernel_writes_what_is_not_there_yet,
        the_kernel_copies_for_one_side_only,
        what_cannot_be_written_is_a_fault,
        fixed_memory_is_there
    }
    denials {
        calls_that_are_not_in_the_mask_are_unknown,
        nobody_acts_for_others_without_the_right,
        devices_are_for_those_who_have_them,
        limits_are_kept
    }
    files {
        contents_are_those_of_the_file,
        what_is_written_is_not_in_the_file,
        the_end_of_a_file,
        an_offset_in_the_middle,
        children_share_what_is_read,
        files_are_closed_with_the_last_region,
        the_kernel_copies_from_and_to_files,
        who_serves_files_asks_for_them_without_waiting,
        a_page_that_cannot_be_read_is_a_signal,
        whoever_is_killed_while_waiting_is_gone,
        a_late_answer_is_an_answer,
        wrong_answers_are_refused,
        programs_are_mapped_from_files,
        files_that_cannot_be_mapped,
        blocks_are_set_mapped_and_forgotten,
        a_device_has_one_file_system,
        blocks_are_given_up_for_programs
    }
    exhaustion {
        too_much_at_once_is_refused,
        who_touches_too_much_ends_alone,
        page_tables_alone_are_memory_too
    }
    lending {
        whoever_forks_parts_from_whom_it_lends_to,
        whoever_forks_parts_from_whom_it_borrows_from,
        what_is_copied_when_written_is_lent,
        whoever_forks_after_a_revoke_keeps_what_it_saw,
        a_part_that_is_unmapped_parts_all,
        what_is_protected_parts,
        whoever_goes_leaves_the_other_what_it_sees,
        what_others_show_is_no_place_to_map
    }
    huge {
        filling_more_than_there_is,
        copying_more_than_there_is,
        mapping_more_than_one_may_lend,
        what_nobody_has_is_a_fault
    }
}
