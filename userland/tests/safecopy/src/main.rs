//! Tests of grants and copies from ring 3.
#![no_std]
#![no_main]

mod copies;
mod denials;
mod kit;
mod library;
mod memory;
mod pager;
mod party;
mod races;
mod tables;
mod update;

suite::suite! {
    library {
        the_very_first_grant_has_the_id_0,
        a_guard_that_is_dropped_takes_back,
        a_guard_that_is_forgotten_ends_with_its_scope,
        each_direction_allows_what_it_says,
        what_is_handed_on_ends_with_what_it_was_made_of,
        a_fault_while_trying_is_told_when_it_is_taken_back,
        a_table_that_is_full_grows,
        memory_that_is_lent_for_good_comes_back_by_revoking,
    }
    copies {
        every_size_from_and_to_odd_places,
        through_one_to_five_hops,
        memory_of_another_is_granted_by_those_who_may,
        parts_are_filled,
        lists_of_copies_are_made_in_order,
        what_fails_ends_a_list,
        two_share_and_a_third_does_not,
        what_is_long_goes_on_by_itself,
    }
    denials {
        rights_are_those_of_the_entry,
        a_grant_is_for_its_grantee,
        the_range_is_checked_to_the_byte,
        ids_that_are_none,
        entries_that_are_incomplete_or_of_no_kind,
        an_id_that_was_taken_back_stays_so,
        granters_that_are_nobody_or_have_no_table,
        only_the_privileged_grant_memory_of_others,
        each_link_narrows_rights_and_range,
        five_hops_are_followed_and_six_are_not,
        no_bytes_are_no_copy,
        lists_that_cannot_be,
        who_may_not_copy_does_not,
        only_the_privileged_try_without_a_grant,
    }
    tables {
        a_place_that_is_no_tables_is_refused_and_the_old_one_stays,
        a_table_that_is_not_there_is_not_waited_for,
        a_table_whose_page_was_taken_away_is_none,
        chains_that_loop_end,
        random_entries_give_nothing,
    }
    memory {
        a_missing_source_is_waited_for,
        a_missing_destination_is_waited_for_to_be_written,
        both_sides_missing_are_two_waits,
        what_cannot_be_brought_is_a_fault_and_nothing_is_copied,
        what_is_taken_back_meanwhile_is_not_used,
        whoever_dies_while_it_waits_leaves_no_request,
        when_the_owner_dies_the_copy_fails_and_leaves_no_request,
        whoever_hands_on_is_not_asked_for_memory,
        fills_and_lists_wait_too,
        trying_fails_at_once_and_leaves_a_mark,
        the_library_notices_nothing,
    }
    update {
        grants_are_not_ready_until_the_new_instance_says_so,
        after_a_rollback_the_old_grants_hold_again,
        only_the_new_instance_reads_the_state_of_the_old,
        the_library_waits_for_the_new_instance,
    }
    races {
        what_is_taken_back_is_written_no_more,
        nobody_gets_half_of_one_grant_and_half_of_the_next,
        tables_that_change_at_random_give_nothing_else,
    }
}
