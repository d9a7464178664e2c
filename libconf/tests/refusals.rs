//! Texts that are malformed, changed or hostile: each with the place and the words of its refusal, and nothing else said.

use abi::policy::MAX_SERVICES;
use libconf::{Config, MAX_ARGUMENTS, MAX_BLOCKS, MAX_FAULTS, MAX_LEVELS, MAX_TEXT};

/// Good, with one thing on each line.
const GOOD: &str = r#"# A policy.
class server {
    ipc rs vm;
};
service rs {
    type root;
    ipc vm echo;
};
service vm {
    type pager;
    traps receive reply_receive notify;
};
service echo {
    class server;
    priority 3;
    system times fork;
    io 1f0:8;
};
service ping {
    ipc echo;
    descr "calls";
};
"#;

/// A recovery script that may do nothing, and one that may, but cannot say so.
const SCRIPT: (&str, &str) = ("descr \"calls\";\n};", "script x;\n}; service x { restart never; ipc rs; };");
const MUTE: (&str, &str) = ("descr \"calls\";\n};", "script x;\n}; service x { restart never; control ping; };");

/// What is replaced in it, by what, where the refusal is, and a part of its words.
const CHANGES: &[(&str, &str, &str, &str)] = &[
    // The grammar.
    ("service rs {", "server rs {", "5:1", "`server` begins no block: write `service NAME"),
    ("service ping {", "service {", "19:9", "a name is missing"),
    ("service ping {", "service ping", "20:5", "`{` is missing after the name `ping`"),
    ("priority 3;", "priority 3", "16:5", "`priority` takes one argument, not 4: is a `;` missing?"),
    ("io 1f0:8;\n", "io 1f0:8\n", "18:1", "`;` is missing before this `}`, after `io`"),
    ("\"calls\";\n};", "\"calls\";\n}", "22:1", "`;` is missing after this `}`"),
    ("\"calls\";\n};", "\"calls\";\n", "19:1", "the block `ping` does not end"),
    ("io 1f0:8;\n};\n", "io 1f0:8;\n", "18:1", "a block within `echo`: end that by `};` before"),
    ("priority 3;", "priority 3 {;", "15:16", "no `{` can stand here"),
    ("priority 3;", "priority 3;;", "15:16", "a keyword is missing here"),
    ("\"calls\"", "\"calls", "21:11", "this text does not end"),
    ("# A policy.", "}", "1:1", "a block begins with"),
    ("# A policy.", "<<<<<<< local", "1:1", "a merge left a conflict here"),
    // Keywords and their arguments.
    ("priority 3;", "prioritaet 3;", "15:5", "no keyword `prioritaet`: known are class, type, uid, "),
    ("priority 3;", "Priority 3;", "15:5", "no keyword `Priority`"),
    ("priority 3;", "\"priority\" 3;", "15:5", "a keyword stands without quotes"),
    ("priority 3;", "priority 3; priority 4;", "15:17", "`priority` stands in this block twice"),
    ("priority 3;", "priority;", "15:5", "`priority` takes an argument"),
    ("priority 3;", "priority 16;", "15:14", "0 (most urgent) to 15, not `16`"),
    ("priority 3;", "priority -1;", "15:14", "not `-1`"),
    ("priority 3;", "priority 18446744073709551617;", "15:14", "not `18446744073709551617`"),
    ("priority 3;", "priority \"3\";", "15:14", "without quotes"),
    ("priority 3;", "cpu 8;", "15:9", "0 (the first) to 7, not `8`"),
    ("priority 3;", "quantum 0;", "15:13", "in milliseconds, is 1 to 60000, not `0`"),
    ("priority 3;", "heartbeat 0;", "15:15", "is 1 to 3600000, not `0`"),
    ("priority 3;", "uid daemon;", "15:9", "`daemon` is no user: write a number, or root, service"),
    ("priority 3;", "uid 4294967296;", "15:9", "is no user"),
    ("priority 3;", "type driver;", "15:10", "no type `driver`: known are root, pager, service, user"),
    ("priority 3;", "restart sometimes;", "15:13", "write `restart never`, or"),
    ("priority 3;", "restart backoff 5 backoff 6;", "15:23", "write `restart never`, or"),
    ("priority 3;", "restart limit 0;", "15:19", "is 1 to 65535, not `0`"),
    ("priority 3;", "restart backoff 4000;", "15:21", "is 1 to 3600, not `4000`"),
    ("priority 3;", "restart backoff;", "15:13", "write `restart never`, or"),
    ("priority 3;", "core yes;", "15:10", "`core` takes no argument"),
    ("priority 3;", "irq 128;", "15:9", "an interrupt line is 0 to 127, not `128`"),
    ("priority 3;", "irq 4 5 4;", "15:13", "`4` stands in this list twice"),
    ("priority 3;", "irq 4 04;", "15:11", "stands in this list already"),
    ("priority 3;", "irq ALL;", "15:9", "an interrupt line is 0 to 127"),
    ("priority 3;", "irq;", "15:5", "`irq` takes at least one argument: leave it out for none"),
    ("priority 3;", "irq 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16;", "15:47", "at most 16 interrupt lines"),
    ("io 1f0:8;", "io 1f0:0;", "17:8", "`1f0:0` is no range of ports"),
    ("io 1f0:8;", "io ffff:2;", "17:8", "is no range of ports"),
    ("io 1f0:8;", "io 1f0-1f7;", "17:8", "is no range of ports"),
    ("io 1f0:8;", "mem a0000:fff;", "17:9", "is no range of memory"),
    ("io 1f0:8;", "mem fffffffffffff000:1000;", "17:9", "is no range of memory"),
    ("io 1f0:8;", "mem 1000:1000 2000:1000 3000:1000 4000:1000 5000:1000;", "17:49", "at most 4 ranges of memory"),
    ("io 1f0:8;", "pci;", "17:5", "write `pci device VENDOR:DEVICE`"),
    ("io 1f0:8;", "pci bus 3;", "17:9", "`bus` is nothing of PCI"),
    ("io 1f0:8;", "pci device 8086;", "17:16", "is no PCI device"),
    ("io 1f0:8;", "pci class 01/06/01/01;", "17:15", "is no PCI class"),
    // Rights.
    ("times fork", "times forc", "16:18", "no kernel call `forc`: known are fork, exec, "),
    ("times fork", "times kernel.fork", "16:18", "no kernel call `kernel.fork`"),
    ("times fork", "times times", "16:18", "`times` stands in this list twice"),
    ("times fork", "ALL", "16:12", "`ALL` is not allowed: name each kernel call"),
    ("times fork", "NONE BASIC", "16:17", "`NONE` leaves out what `BASIC` adds"),
    ("system times fork;", "vm fork times;", "16:13", "no call of the memory server `times`: known are exit, fork,"),
    ("receive reply_receive notify", "receive reply notify", "11:19", "no trap `reply`: known are send, receive,"),
    ("receive reply_receive notify", "receive NONE", "11:19", "`NONE` stands alone"),
    // Names.
    ("service ping", "service Ping", "19:9", "`Ping` is no name of a service: it has 1 to 15 of a-z"),
    ("service ping", "service sixteen-letters-", "19:9", "is no name of a service"),
    ("service ping", "service policy", "19:9", "`policy` is reserved"),
    ("service ping", "service selix", "19:9", "`selix` is reserved"),
    ("service ping", "service server", "19:9", "there is a block `server` before this one"),
    ("ipc echo", "ipc eco", "20:9", "no service `eco`: known are rs, vm, echo, ping"),
    ("ipc echo", "ipc echo ALL", "20:14", "`ALL` is not allowed: name each service"),
    ("ipc echo", "ipc SYSTEM", "20:9", "kernel calls are allowed by `system`"),
    ("ipc echo", "ipc server", "20:9", "`server` is a class: name a service"),
    ("ipc echo", "control echo nobody", "20:18", "no service `nobody`"),
    ("ipc echo", "sigmgr ping", "20:12", "`ping` is this service itself: write `SELF`"),
    ("ipc echo", "scheduler ping", "20:15", "name another one, or `KERNEL`"),
    ("ipc echo", "backup nobody", "20:12", "no service `nobody`"),
    ("class server;", "class serwer;", "14:11", "no class or service `serwer`: known are server"),
    ("class server;", "class server server;", "14:18", "stands in this list twice"),
    ("descr", "script nobody; descr", "21:12", "no service `nobody`: known are"),
    ("descr", "script server; descr", "21:12", "`server` is a class: name a service"),
    ("descr", "script echo vm; descr", "21:17", "`script` takes one argument, not 2"),
    ("descr", "script; descr", "21:5", "`script` takes an argument"),
    ("descr", "script \"echo\"; descr", "21:12", "without quotes"),
    ("descr", "script echo; script vm; descr", "21:18", "`script` stands in this block twice"),
    ("descr", "script ping; descr", "21:12", "`ping` cannot decide about itself when it is dead"),
    ("descr", "script vm; descr", "21:12", "`vm` cannot be started when `ping` has died"),
    ("descr", "script echo; descr", "21:12", "`echo` runs once when `ping` has died: write `restart never`"),
    (SCRIPT.0, SCRIPT.1, "21:12", "`x` may not restart `ping`: name that under `control` in its block"),
    (MUTE.0, MUTE.1, "21:12", "`x` cannot say what becomes of `ping`: name the root system process under `ipc`"),
    ("descr", "script echo; restart never; descr", "19:1", "`ping` is never restarted: leave out `script`"),
    ("descr", "type user; script echo; descr", "19:1", "`ping` is no service: `core`, `synch`"),
    ("    type pager;\n", "    type pager; script echo;\n", "9:1", "`vm` is needed by every process that is started"),
    // The whole.
    ("    type root;\n", "", "1:1", "no service has `type root`"),
    ("priority 3;", "type root;", "15:10", "a service before this one is the root system process"),
    ("priority 3;", "type pager;", "15:10", "a service before this one is the memory server"),
    ("priority 3;", "type user;", "13:1", "`echo` is no service, and so cannot have `irq`, `io`"),
    ("descr", "type user; core; descr", "19:1", "`ping` is no service: `core`, `synch`"),
    ("descr", "copy; restart never; descr", "19:1", "`ping` is never restarted: leave out `copy`"),
    ("    type pager;\n", "    type pager; copy;\n", "9:1", "`vm` is loaded by the kernel"),
    (
        "descr",
        "sigmgr echo; descr \"x\"; };\nservice x { type user; sigmgr ping; }; service y { sigmgr x; descr",
        "22:59",
        "`x` is no service: it has `type user`",
    ),
    ("ipc rs vm;", "ipc rs vm; class server;", "3:22", "this block includes itself: server -> server"),
    ("\"calls\"", "calls", "21:11", "a description stands in quotes"),
    ("\"calls\"", "\"\u{1b}[2J\"", "21:11", "all of them printable"),
    (
        "\"calls\";",
        "\"calls\"; type user; };\nservice other { type user; ipc rs; };\nservice more { ipc echo;",
        "22:1",
        "`other` and `ping` are users, who share what they may do",
    ),
    // Who waits for whom.
    ("times fork;", "times fork; ipc ping;", "16:28", "may wait for each other for ever: echo -> ping -> echo"),
    ("ipc echo;", "ipc ping;", "20:9", "for ever: ping -> ping. Take a name out"),
    ("notify;", "notify sendrec; ipc ping;", "11:53", "vm -> ping -> vm (everybody waits for the memory server"),
];

#[track_caller]
fn refused(text: &str, at: &str, part: &str) {
    let faults = Config::parse(text).expect_err("accepted");
    assert_eq!(faults.len(), 1, "{faults:#?}");
    let message = faults[0].to_string();
    assert!(message.starts_with(&format!("{at}: ")), "{message}, not at {at}");
    assert!(message.contains(part), "{message}, without {part:?}");
    assert!(!message.contains(char::is_control), "{message:?}");
}

#[test]
fn the_text_that_is_changed_is_good() {
    Config::parse(GOOD).unwrap();
}

#[test]
fn every_change_is_refused_at_its_place() {
    let mut wrong = String::new();
    for (from, to, at, part) in CHANGES {
        assert!(GOOD.contains(from), "{from:?}");
        let changed = GOOD.replacen(from, to, 1);
        let told = match Config::parse(&changed) {
            Ok(_) => "accepted".to_owned(),
            Err(faults) => faults.iter().map(|fault| format!("{fault}\n")).collect(),
        };
        if !told.starts_with(&format!("{at}: ")) || !told.contains(part) || told.lines().count() != 1 {
            wrong += &format!("{from} -> {to}, expected {at}: {part}, but\n{told}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn texts_that_are_no_policy() {
    refused("", "1:1", "no service has `type root`");
    let faults = Config::parse("service rs { type root; ipc x; }; service a\u{1b}[2J { };").unwrap_err();
    assert!(faults.iter().all(|fault| !fault.message.contains(char::is_control)), "{faults:#?}");
    refused("\0", "1:1", "`\\0` begins no block");
}

#[test]
fn chains_and_lists_without_end() {
    let root = "service rs { type root; };\n";
    let chain: String = (0..=MAX_LEVELS).map(|i| format!("class c{i} {{ class c{}; }};\n", i + 1)).collect();
    refused(
        &format!("{root}{chain}class c{} {{ }};", MAX_LEVELS + 1),
        "2:18",
        "more than 100 classes include each other here",
    );
    refused(
        &format!("{root}class a {{ class b; }}; class b {{ class c; }}; class c {{ class a; }};"),
        "2:17",
        "this block includes itself: a -> b -> c -> a",
    );
    let many: String = (0..MAX_SERVICES).map(|i| format!("service s{i} {{ }};\n")).collect();
    refused(&format!("{root}{many}"), "129:1", "at most 128 services");
    let many: String = (0..MAX_BLOCKS).map(|i| format!("class s{i} {{ }};\n")).collect();
    refused(&format!("{root}{many}"), "513:1", "at most 512 blocks");
    let words: String = (0..=MAX_ARGUMENTS).map(|i| format!("{i}\n")).collect();
    let faults = Config::parse(&format!("{root}service a {{ irq {words}; }};")).unwrap_err();
    assert!(faults.iter().any(|f| f.message.contains("at most 256 arguments")), "{faults:#?}");
    let classes = "class a { irq 0 1 2 3 4 5 6 7 8; }; class b { irq 9 10 11 12 13 14 15 16; };\n";
    refused(
        &format!("{classes}{root}service s {{ class a b; }};"),
        "3:1",
        "`s` has 17 interrupt lines with its classes: 16 at most",
    );
    let text = format!("{root}#{}", "x".repeat(MAX_TEXT));
    let faults = Config::parse(&text).unwrap_err();
    assert_eq!(faults[0].message, format!("a policy has at most {MAX_TEXT} bytes"));
}

#[test]
fn diamonds_of_classes_take_no_time() {
    // Without a memory of what is done this would be 2 to the power of 99 steps.
    let mut text = "service rs { type root; class a0 b0; };\n".to_owned();
    for i in 0..98 {
        text += &format!("class a{i} {{ class a{0} b{0}; }}; class b{i} {{ class a{0} b{0}; }};\n", i + 1);
    }
    text += "class a98 { }; class b98 { cpu 3; };";
    assert_eq!(Config::parse(&text).unwrap().services[0].policy.cpu, 3);
}

#[test]
fn all_faults_are_shown_in_the_order_of_lines() {
    let text = GOOD.replace("priority 3", "priority 99").replace("times", "timed").replace("ipc echo", "ipc nobody");
    let lines: Vec<usize> = Config::parse(&text).unwrap_err().iter().map(|fault| fault.at.line).collect();
    assert_eq!(lines, [15, 16, 20]);
}

#[test]
fn a_message_is_short_and_there_are_not_too_many() {
    let text = format!("service rs {{ {}; }};", "x".repeat(10_000));
    let faults = Config::parse(&text).unwrap_err();
    assert!(faults.iter().all(|fault| fault.message.len() < 1000), "{faults:#?}");
    let faults = Config::parse(&format!("service rs {{ {} }};", "x;".repeat(10_000))).unwrap_err();
    assert_eq!(faults.len(), MAX_FAULTS + 1);
    assert!(faults[MAX_FAULTS].message.contains("more faults than 200"));
}

#[test]
fn columns_count_characters() {
    refused(&GOOD.replace("priority 3;", "descr \"\u{fc}\u{e9}\"; x;"), "15:17", "no keyword `x`");
}

#[test]
fn names_of_blocks_are_checked_without_their_meaning() {
    let blocks = libconf::blocks("service a { whatever 3; };\nclass b { };").unwrap();
    let found: Vec<_> = blocks.iter().map(|b| (b.name.text, b.is_class, b.range.clone())).collect();
    assert_eq!(found, [("a", false, 0..26), ("b", true, 27..39)]);
    assert!(libconf::blocks("service a { }; class a { };").unwrap_err()[0].message.contains("names must differ"));
}
