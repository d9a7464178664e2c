//! The snapshot of all calls, `calls.txt`: nobody changes the interface of a server without saying so.
//!
//! The first test compares the snapshot with the code, and writes it anew when `UPDATE_SNAPSHOT` is set. The second asks
//! that the newest entry of `UPDATING.md` that speaks of a `protocol snapshot` quotes the checksum of the present one.

use abi::PrivilegeSpec;
use protocol::assist::{Deed, Wish};
use protocol::ds::{EntryKind, Key};
use protocol::getinfo::Denied;
use protocol::kernel::{AbortHow, PortAccess, RunAction, Scheduler, UpdateDirection};
use protocol::pm::{How, Timer, TraceRequest};
use protocol::pmfiles::What;
use protocol::rs::{Init, Reason, State};
use protocol::vm::RegionKind;
use protocol::vmctl::{Access, Backing, Cache, Found, FrameKind, Sharing};
use protocol::zerocopy::{FromZeros, Immutable, KnownLayout, TryFromBytes};
use protocol::{ALL, CallInfo, Protocol};
use std::collections::BTreeSet;
use std::fmt::{Debug, Write};

/// Files are named from the folder of the package, where cargo runs its tests.
const SNAPSHOT: &str = "calls.txt";
const UPDATING: &str = "../../UPDATING.md";
const REGENERATE: &str = "UPDATE_SNAPSHOT=1 cargo test -p protocol --test snapshot";

/// Types of fields that say all by their names.
const PLAIN: &[&str] =
    &["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "bool", "abi::Endpoint", "Endpoint", "GrantId"];

/// The name of a type, and what gives its values or fields.
type Listed = (&'static str, fn() -> String);

/// Types of fields of which the snapshot lists the values.
const ENUMS: &[Listed] = &[
    ("Wish", values_of::<Wish>),
    ("AbortHow", values_of::<AbortHow>),
    ("RunAction", values_of::<RunAction>),
    ("Scheduler", values_of::<Scheduler>),
    ("UpdateDirection", values_of::<UpdateDirection>),
    ("PortAccess", values_of::<PortAccess>),
    ("Access", values_of::<Access>),
    ("Cache", values_of::<Cache>),
    ("Backing", values_of::<Backing>),
    ("Found", values_of::<Found>),
    ("FrameKind", values_of::<FrameKind>),
    ("Sharing", values_of::<Sharing>),
    ("RegionKind", values_of::<RegionKind>),
    ("How", values_of::<How>),
    ("Timer", values_of::<Timer>),
    ("TraceRequest", values_of::<TraceRequest>),
    ("What", values_of::<What>),
    ("Denied", values_of::<Denied>),
    ("EntryKind", values_of::<EntryKind>),
    ("Deed", values_of::<Deed>),
    ("Init", values_of::<Init>),
    ("State", values_of::<State>),
    ("Reason", values_of::<Reason>),
];

/// Types of fields of which it lists the fields.
const STRUCTS: &[Listed] = &[("PrivilegeSpec", fields_of::<PrivilegeSpec>), ("Key", fields_of::<Key>)];

/// No enum has a value beyond this one, which is looked for.
const LAST_VALUE: u32 = 0xffff;

/// All values of an enum of 32 bits, found by trying.
fn values_of<T: TryFromBytes + KnownLayout + Immutable + Debug>() -> String {
    assert_eq!(size_of::<T>(), size_of::<u32>());
    let values =
        (0..=LAST_VALUE).filter_map(|n| Some(format!("{n} {:?}", T::try_read_from_bytes(&n.to_le_bytes()).ok()?)));
    values.collect::<Vec<_>>().join(", ")
}

/// All fields of a struct, as it shows itself when it is zero, and its size.
fn fields_of<T: FromZeros + Debug>() -> String {
    format!("{} bytes: {:?}", size_of::<T>(), T::new_zeroed())
}

/// The types in a list of fields: what stands between a colon and the comma after it, without `[` and `; length]`.
fn types(fields: &str) -> impl Iterator<Item = &str> {
    let fields = fields.split(", ").filter(|field| !field.is_empty());
    fields.map(|field| {
        let (_, type_name) = field.split_once(": ").expect("field: type");
        type_name.trim_start_matches('[').split(';').next().expect("split has a first part")
    })
}

fn calls() -> impl Iterator<Item = (&'static Protocol, &'static CallInfo)> {
    ALL.iter().flat_map(|p| p.calls.iter().map(move |c| (p, c)))
}

/// The snapshot that the code asks for.
fn snapshot() -> String {
    let mut text = format!(
        "# Every call of every protocol. Made from the declarations; after a change of them, run\n\
         #     {REGENERATE}\n\
         # and quote the new checksum in UPDATING.md.\n\n\
         abi {}\n",
        abi::ABI_VERSION
    );
    for (p, c) in calls() {
        let kind = p.base + c.number;
        writeln!(text, "\n{} {kind:#06x}", c.name).expect("a string takes all");
        for (name, len, fields) in [("request", c.request_len, c.request), ("reply", c.reply_len, c.reply)] {
            let line = format!("    {name:7} {len:2}  {}", fields.trim_end_matches(", "));
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    for (kind, listed) in [("enum", ENUMS), ("struct", STRUCTS)] {
        for (name, contents) in listed {
            writeln!(text, "\n{kind} {name}\n    {}", contents()).expect("a string takes all");
        }
    }
    text
}

#[test]
fn the_snapshot_is_that_of_the_code() {
    let new = snapshot();
    if std::env::var_os("UPDATE_SNAPSHOT").is_some() {
        std::fs::write(SNAPSHOT, &new).expect("calls.txt can be written");
    }
    let old = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    let changed: Vec<_> = new.lines().filter(|line| !old.lines().any(|l| l == *line)).collect();
    assert!(
        old == new,
        "the calls are no longer those of include/protocol/calls.txt. If that is intended, run\n    {REGENERATE}\n\
         and write an entry in UPDATING.md. New lines:\n{}",
        changed.join("\n")
    );
}

#[test]
fn a_new_snapshot_stands_in_updating() {
    let text = std::fs::read_to_string(UPDATING).expect("UPDATING.md is there");
    let newest = text.split("\n## ").skip(1).find(|entry| entry.contains("protocol snapshot"));
    let quote = format!("protocol snapshot {:08x}", crc32fast::hash(snapshot().as_bytes()));
    assert!(
        newest.is_some_and(|entry| entry.contains(&quote)),
        "the calls have changed: the newest entry of UPDATING.md that speaks of a protocol snapshot must say\n    {quote}\n\
         and whom the change concerns"
    );
}

#[test]
fn every_type_of_a_field_is_plain_or_listed() {
    let used: BTreeSet<_> = calls().flat_map(|(_, c)| types(c.request).chain(types(c.reply))).collect();
    let listed: BTreeSet<_> = ENUMS.iter().chain(STRUCTS).map(|(name, _)| *name).collect();
    let others: BTreeSet<_> = used.iter().copied().filter(|t| !PLAIN.contains(t)).collect();
    assert_eq!(
        others, listed,
        "the types that need their values in the snapshot, and those that ENUMS and STRUCTS give"
    );
}

#[test]
fn values_are_found_by_trying() {
    /// An enum with a gap.
    #[derive(Debug, TryFromBytes, KnownLayout, Immutable)]
    #[repr(u32)]
    #[expect(dead_code, reason = "its values are made from bytes")]
    enum Gap {
        Low = 1,
        High = LAST_VALUE,
    }
    assert_eq!(values_of::<Gap>(), "1 Low, 65535 High");
}
