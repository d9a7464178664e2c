//! Texts that are good, and what they mean.

use abi::TrapMask;
use abi::policy::{
    ITSELF, IoRange, MAX_SERVICES, MemoryRange, NOBODY, PciClass, PciDevice, PolicyHeader, ServiceFlags, ServicePolicy,
    contains,
};
use libconf::{Config, DEFAULT_BACKOFF, MAX_LEVELS};
use zerocopy::IntoBytes;

/// A text with a root system process, and what else is given.
fn with_root(text: &str) -> String {
    format!("service rs {{ type root; }};\n{text}")
}

#[track_caller]
fn parse(text: &str) -> Config {
    Config::parse(text).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// The entry of the service `a` in a text.
#[track_caller]
fn entry(text: &str) -> ServicePolicy {
    let config = parse(&with_root(text));
    config.find("a").expect("there is an `a`").1.policy
}

/// The bytes of a policy, where its entries are aligned.
fn compiled(entries: &[ServicePolicy]) -> Vec<u64> {
    let bytes = [PolicyHeader::of(entries).as_bytes(), entries.as_bytes()].concat();
    bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().expect("whole words"))).collect()
}

const FULL: &str = r#"
# The whole grammar.
class hardware { irq 1 12; io 60 0x64:4; mem a0000:20000 fd000000:1000; };
class pinged { heartbeat 500; traps receive; restart limit 3; };
service a {
    descr "all that there is";
    class hardware pinged;
    uid root; priority 3; quantum 20; cpu 2; scheduler b;
    sigmgr b; backup SELF; restart backoff 8 limit 5;
    core; synch; copy; reincarnate; replica; grants_for_others;
    traps send senda; ipc rs b USER; system times privctl; vm usage for_others; control b; script s;
    pci device 8086:100e 1af4:1000; pci class 01/06 02;
};
service b { type pager; ipc rs; uid 77; } ;
service s { restart never; ipc rs; control a; };
"#;

#[test]
fn every_keyword_says_what_it_says() {
    let config = parse(&with_root(FULL));
    let a = config.find("a").unwrap().1;
    assert_eq!(a.description.as_deref(), Some("all that there is"));
    assert_eq!((a.at.line, a.at.column), (6, 1));
    let e = a.policy;
    assert_eq!((e.uid, e.priority, e.quantum, e.cpu, e.heartbeat), (0, 3, 20, 2, 500));
    assert_eq!((e.manager, e.backup, e.scheduler), (2, ITSELF, 2));
    assert_eq!((e.backoff, e.restarts, e.script), (8, 5, 3));
    let flags = ServiceFlags::CORE
        | ServiceFlags::SYNCHRONOUS
        | ServiceFlags::KEPT
        | ServiceFlags::REINCARNATE
        | ServiceFlags::REPLICA
        | ServiceFlags::GRANTS_FOR_OTHERS
        | ServiceFlags::SENDS_TO_USERS
        | ServiceFlags::PREEMPTIBLE;
    assert_eq!(ServiceFlags::from_bits(e.flags), Some(flags));
    assert_eq!(e.traps, (TrapMask::SEND | TrapMask::SENDA).bits());
    assert_eq!((e.sends, e.control), ([0b101, 0], [0b100, 0]));
    assert_eq!(e.irqs(), [1, 12]);
    assert_eq!(e.io(), [IoRange { first: 0x60, last: 0x60 }, IoRange { first: 0x64, last: 0x67 }]);
    assert_eq!(
        e.ranges(),
        [MemoryRange { start: 0xa_0000, len: 0x2_0000 }, MemoryRange { start: 0xfd00_0000, len: 0x1000 }]
    );
    assert_eq!((e.device_count, e.class_count), (2, 2));
    assert_eq!(e.devices[1], PciDevice { vendor: 0x1af4, device: 0x1000 });
    assert_eq!(e.classes[0], PciClass { class: 0x0106_0000, mask: 0xffff_0000 });
    let b = config.find("b").unwrap().1.policy;
    assert_eq!((b.uid, ServiceFlags::from_bits(b.flags)), (77, Some(ServiceFlags::PAGER)));
}

#[test]
fn a_service_that_says_nothing_has_the_basic_calls_and_nothing_else() {
    let e = entry("service a { };");
    let basic: u64 = libconf::names::calls()
        .filter(|(name, _)| libconf::names::BASIC_CALLS.contains(name))
        .map(|(_, right)| right)
        .sum();
    assert_eq!((e.calls, e.memory), (basic, 1 << 2 | 1 << 10 | 1 << 17));
    assert_eq!((e.sends, e.control, e.flags), ([0; 2], [0; 2], ServiceFlags::PREEMPTIBLE.bits()));
    assert_eq!((e.uid, e.priority, e.quantum, e.cpu, e.heartbeat), (1, 7, 50, 0, 0));
    assert_eq!((e.manager, e.backup, e.scheduler, e.script), (NOBODY, NOBODY, NOBODY, NOBODY));
    assert_eq!((e.backoff, e.restarts), (DEFAULT_BACKOFF, 0));
    let traps = TrapMask::RECEIVE | TrapMask::SENDREC | TrapMask::NOTIFY | TrapMask::SENDNB | TrapMask::REPLY_RECEIVE;
    assert_eq!(e.traps, traps.bits());
    assert!(e.irqs().is_empty() && e.io().is_empty() && e.ranges().is_empty());
    assert_eq!((e.device_count, e.class_count), (0, 0));
}

#[test]
fn none_leaves_out_what_is_basic() {
    let e = entry("service a { system NONE times; vm NONE; traps NONE; };");
    assert_eq!((e.calls, e.memory, e.traps), (1 << 25, 0, 0));
    let e = entry("class c { system NONE times; }; service a { class c; system BASIC; };");
    assert_eq!(e.calls, entry("service a { };").calls, "the block itself has the last word");
}

#[test]
fn users_call_servers_and_nothing_else() {
    let e = entry("service a { type user; uid root; ipc rs; };");
    assert_eq!((e.calls, e.traps, e.uid, e.sends), (0, TrapMask::SENDREC.bits(), 0, [1, 0]));
    let flags = ServiceFlags::from_bits(e.flags).unwrap();
    assert_eq!(
        flags,
        ServiceFlags::USER | ServiceFlags::PREEMPTIBLE | ServiceFlags::BILLABLE | ServiceFlags::NO_RESTART
    );
}

#[test]
fn lists_of_classes_are_united_and_later_values_count() {
    let e = entry(
        "class low { priority 9; cpu 1; system fork; irq 3; }; class high { priority 2; system exec; irq 3 4; };
         class both { class low high; }; service a { class both; cpu 5; irq 5; };",
    );
    assert_eq!((e.priority, e.cpu), (2, 5));
    assert_eq!(e.irqs(), [5, 3, 4]);
    assert_eq!(e.calls & 0b11, 0b11, "fork and exec");
}

#[test]
fn a_service_can_be_a_class_too_and_order_does_not_matter() {
    let e = entry("service a { class b; }; service b { priority 4; class c; }; class c { cpu 3; };");
    assert_eq!((e.priority, e.cpu), (4, 3));
}

#[test]
fn white_space_and_comments_do_not_matter() {
    let text = "service rs{type root;};# { ; \"\nservice\ta\r\n{ipc#x\nrs;priority 3;}\n;\n#";
    let config = parse(text);
    assert_eq!((config.services.len(), config.services[1].policy.priority), (2, 3));
    assert_eq!(
        parse("service rs { type root; descr \"# ; { }\"; };").services[0].description.as_deref(),
        Some("# ; { }")
    );
}

#[test]
fn as_many_levels_and_services_as_there_may_be() {
    let chain: String = (0..MAX_LEVELS).map(|i| format!("class c{i} {{ class c{}; }};\n", i + 1)).collect();
    let text = format!("{chain} class c{MAX_LEVELS} {{ cpu 4; }}; service a {{ class c1; }};");
    assert_eq!(entry(&text).cpu, 4);
    let many: String = (0..MAX_SERVICES - 1).map(|i| format!("service s{i} {{ }};\n")).collect();
    let config = parse(&with_root(&many));
    assert_eq!(config.services.len(), MAX_SERVICES);
    assert!(abi::policy::parse(compiled(&config.policies()).as_bytes()).is_ok());
}

#[test]
fn who_only_answers_may_be_called_by_those_whom_it_may_send_to() {
    let text = "service a { ipc b; }; service b { traps receive reply_receive sendnb notify senda; ipc a; };";
    let config = parse(&with_root(text));
    assert!(contains(&config.services[2].policy.sends, 1));
}

#[test]
fn the_root_may_call_whoever_calls_it() {
    parse("service rs { type root; ipc pm vm; }; service pm { ipc rs vm; }; service vm { type pager; ipc rs; };");
}

#[test]
fn what_is_unordered_is_left_out_of_the_order() {
    parse(&with_root("service a { ipc b a; unordered; }; service b { ipc a; };"));
}

#[test]
fn classes_have_scripts_and_root_needs_no_leave() {
    let e = entry("class c { script s; }; service a { class c; }; service s { uid root; restart never; ipc rs; };");
    assert_eq!(e.script, 2);
    let own = "service a { class c; script t; }; service t { restart never; ipc rs; control a; };";
    let e = entry(&format!("{own} class c {{ script s; }}; service s {{ }};"));
    assert_eq!(e.script, 2, "the block's own counts");
}

#[test]
fn a_text_of_the_entries_says_the_same() {
    let many = "service u { type user; uid root; restart backoff 30; ipc a; control a; };
                service a { system NONE; vm NONE; traps NONE; unordered; ipc u a; io 0:10000; pci class 01/02/03; };";
    for text in [with_root(FULL), with_root(many)] {
        let config = parse(&text);
        let again = parse(&config.to_text());
        assert_eq!(again.policies(), config.policies(), "{}", config.to_text());
        let said = |config: &Config| -> Vec<_> {
            config.services.iter().map(|s| (s.name.clone(), s.description.clone(), s.unordered)).collect()
        };
        assert_eq!(said(&again), said(&config));
        assert_eq!(abi::policy::parse(compiled(&config.policies()).as_bytes()), Ok(&config.policies()[..]));
    }
}
