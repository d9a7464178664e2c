//! Tests of memory that one program sees of another, from ring 3.
#![no_std]
#![no_main]

mod chains;
mod copies;
mod denials;
mod ends;
mod field;
mod kit;
mod many;
mod missing;
mod party;
mod races;
mod sharing;

suite::suite! {
    sharing {
        a_mapping_shows_what_either_side_writes,
        after_the_grantee_unmaps_each_has_its_own,
        after_a_revoke_by_id_each_has_its_own,
        after_a_revoke_by_address_each_has_its_own,
        the_guards_of_the_library_end_a_mapping,
        a_place_has_one_guard_at_a_time,
        whoever_maps_to_read_dies_of_writing,
        the_memory_server_parts_what_is_shared,
    }
    denials {
        without_the_right_nothing_is_mapped,
        what_is_misaligned_is_not_mapped,
        a_place_must_be_there_and_large_enough,
        a_place_that_is_used_otherwise_is_refused,
        what_was_received_to_read_is_not_granted_on_to_write,
        borrowed_pages_are_not_lent_but_handed_on,
        only_the_granter_takes_back,
    }
    chains {
        through_two_hops_a_part_is_mapped,
        each_link_of_a_chain_can_be_taken_back,
    }
    ends {
        when_the_grantee_dies_the_owner_goes_on,
        when_the_owner_dies_the_grantee_keeps_a_copy,
        when_an_intermediary_dies_the_mapping_ends,
        all_frames_come_back,
    }
    missing {
        what_the_owner_lacks_is_asked_for_first,
        what_the_grantee_lacks_is_asked_for_to_be_written,
        both_sides_lack_pages,
        what_cannot_be_brought_is_a_fault,
        what_is_taken_back_meanwhile_is_not_mapped,
        whoever_dies_while_it_waits_leaves_nothing,
    }
    many {
        a_thousand_mappings_are_taken_back_at_once_and_again,
        whoever_has_lent_a_thousand_times_may_die,
        no_owner_has_more_mappings_than_its_share,
    }
    copies {
        copies_of_64_kib_are_private_whatever_is_written,
        copies_of_1_mib_are_private_whatever_is_written,
        a_copy_of_a_copy_is_private,
        what_is_mapped_meanwhile_is_copied_as_it_is,
    }
    races {
        whoever_maps_writes_no_more_after_a_revoke,
    }
}
