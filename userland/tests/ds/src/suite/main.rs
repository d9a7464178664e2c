//! The data store from outside: what services publish, retrieve, see of each other's memory, and are told of.
#![no_std]
#![no_main]

mod actor;
mod changes;
mod entries;
mod library;
mod ranges;

suite::suite! {
    entries {
        who_has_no_label_publishes_nothing,
        only_who_sets_labels_sets_labels,
        each_kind_comes_back,
        keys_of_any_length_travel,
        bad_grants_are_errors_and_the_store_goes_on,
        little_room_gets_the_beginning,
        a_flood_of_one_is_its_own_problem
    }
    changes {
        several_changes_are_one_notice,
        a_removal_is_a_notice_and_nothing_more,
        what_is_there_is_told_at_first,
        bad_patterns_are_refused
    }
    ranges {
        what_the_owner_writes_is_seen,
        a_range_cannot_be_what_it_is_not,
        snapshots_stay_as_they_were_taken,
        deleting_leaves_whoever_looks_a_copy,
        who_writes_what_is_only_shown_ends_alone,
        who_dies_is_forgotten
    }
    library {
        labels_numbers_and_strings,
        changes_are_told_with_their_keys,
        pages_are_shared_and_copied
    }
}
