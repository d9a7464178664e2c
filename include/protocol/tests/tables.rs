//! What the tables of all protocols promise to those who read them: call masks, tracer, manual.

use abi::{BODY_LEN, Kind};
use protocol::{ALL, CallInfo, Protocol};
use std::collections::HashSet;

/// Bits of a mask of kernel calls.
const CALL_MASK_BITS: u16 = u64::BITS as u16;

fn calls() -> impl Iterator<Item = (&'static Protocol, &'static CallInfo)> {
    ALL.iter().flat_map(|p| p.calls.iter().map(move |c| (p, c)))
}

#[test]
fn no_two_calls_share_a_kind_or_a_name() {
    let mut kinds = HashSet::new();
    let mut names = HashSet::new();
    for (p, c) in calls() {
        assert!(kinds.insert(p.base + c.number), "{}: its kind belongs to another call too", c.name);
        assert!(names.insert(c.name), "{}: declared twice", c.name);
    }
}

#[test]
fn every_kind_is_that_of_a_request() {
    for (p, c) in calls() {
        let kind = Kind(p.base.checked_add(c.number).expect("a kind has 16 bits"));
        assert_ne!(kind, Kind(0), "{}: looks like a message that says nothing", c.name);
        assert_eq!(kind.status(), None, "{}: looks like a reply", c.name);
        assert_ne!(kind, Kind::NOTIFY, "{}: looks like a notification", c.name);
    }
}

#[test]
fn every_call_fits_a_message() {
    for (_, c) in calls() {
        assert!(c.request_len <= BODY_LEN && c.reply_len <= BODY_LEN, "{}", c.name);
    }
}

#[test]
fn names_are_found_and_belong_to_their_protocol() {
    for (p, c) in calls() {
        let (protocol, call) = c.name.split_once('.').expect("protocol.call");
        assert_eq!(protocol, p.name);
        assert!(!call.is_empty() && !call.contains('.'), "{}", c.name);
        assert_eq!(p.call(call), Some(c));
        assert_eq!(p.call(c.name), None, "the protocol's name is no part of the call's");
    }
}

#[test]
fn every_call_is_documented() {
    for (_, c) in calls() {
        assert!(c.doc.trim().ends_with('.'), "{}: what does it do? Say it in a sentence: {:?}", c.name, c.doc);
    }
}

#[test]
fn fields_take_up_the_bytes_that_the_table_says() {
    for (_, c) in calls() {
        for (fields, len) in [(c.request, c.request_len), (c.reply, c.reply_len)] {
            assert_eq!(fields.is_empty(), len == 0, "{}: {len} bytes of {fields:?}", c.name);
        }
    }
}

#[test]
fn kernel_calls_have_a_bit_in_the_call_mask() {
    for c in protocol::kernel::PROTOCOL.calls {
        assert!(c.number < CALL_MASK_BITS, "{}: number {} has no bit in a call mask", c.name, c.number);
    }
    for group in protocol::kernel::GROUPS {
        let name = group.protocol.name;
        assert!(group.number < CALL_MASK_BITS, "{name}: number {} has no bit in a call mask", group.number);
        assert!(ALL.iter().any(|p| p.name == name), "{name}: a group that is no protocol");
    }
}
