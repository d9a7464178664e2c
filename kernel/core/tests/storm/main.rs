//! Random traps and kernel calls against the kernel's state machine, on a machine with real memory. Invariants are checked
//! after each step, memory again and again.
//!
//! `SELIX_SOAK=1` makes the storms as long as they should be, and asks for the seldom results too.

mod audit;
mod driver;
mod fast;
mod machine;
mod regs;
mod repair;
mod tables;
mod world;

use abi::{Errno, TrapMask};
use driver::Storm;
use protocol::kernel::right_by_name;
use storm::{Histogram, OF_THE_ROOT, Row, reachable, rows};
use tables::Tables;
use world::{LENDINGS, Rights, Scarce};

fn is_soak() -> bool {
    std::env::var_os("SELIX_SOAK").is_some_and(|value| value == "1")
}

/// How many steps to make.
fn steps(short: u64, long: u64) -> u64 {
    if is_soak() { long } else { short }
}

fn calls(names: &[&str]) -> u64 {
    names.iter().map(|name| right_by_name(name).expect("there is such a call")).fold(0, |mask, right| mask | right)
}

/// What there is little of in one system after another.
const SCARCE: [Scarce; 5] = [Scarce::Spaces, Scarce::Hooks, Scarce::Answers, Scarce::Ranges, Scarce::Nothing];

/// Calls of which each result comes up, but not so often yet: the storm uses grants only in passing.
const COPIES: &[&str] = &[
    "kernel.vircopy",
    "kernel.physcopy",
    "kernel.safecopyfrom",
    "kernel.safecopyto",
    "kernel.vsafecopy",
    "kernel.safememset",
    "kernel.safemap",
    "kernel.safeunmap",
];

/// Results of other calls that come up seldom: where memory is mapped with grants, or where several spaces show the same page.
const WITH_GRANTS: &[(&str, Result<(), Errno>)] = &[
    ("vmctl.unmap", Err(Errno::Busy)),
    ("vmctl.protect", Err(Errno::Busy)),
    ("vmctl.share", Err(Errno::Busy)),
    ("vmctl.copy", Err(Errno::Busy)),
    ("vmctl.copy", Ok(())),
    ("vmctl.share", Err(Errno::Exist)),
    ("vmctl.supply", Err(Errno::Exist)),
    ("vmctl.supply_copy", Ok(())),
    ("vmctl.supply_copy", Err(Errno::Perm)),
    ("vmctl.supply_copy", Err(Errno::Busy)),
];

/// Results that may not come up in a short storm: they take a long chain of the right calls.
const SELDOM: &[(&str, Result<(), Errno>)] = &[
    ("kernel.safemap", Err(Errno::NoSpc)),
    ("privctl.add_memory", Err(Errno::NoMem)),
    ("irqctl.set_policy", Err(Errno::NoSpc)),
    ("vmctl.unmap", Err(Errno::Busy)),
    ("vmctl.protect", Err(Errno::Busy)),
    ("vmctl.share", Err(Errno::Busy)),
    ("vmctl.copy", Err(Errno::Busy)),
    ("vmctl.copy", Ok(())),
    ("vmctl.share", Err(Errno::Exist)),
    ("vmctl.supply", Err(Errno::Exist)),
    ("vmctl.supply_copy", Ok(())),
    ("vmctl.supply_copy", Err(Errno::Perm)),
    ("vmctl.supply_copy", Err(Errno::Busy)),
    ("vmctl.claim", Err(Errno::NoMem)),
    ("kernel.safecopyfrom", Err(Errno::Dom)),
];

/// What any program may be given.
const USERS: &[&str] = &["times", "whoami", "boot_entry", "diag_write", "exit", "umap", "getinfo"];
/// What a driver may be given besides.
const DRIVERS: &[&str] =
    &["setgrant", "setalarm", "memset", "devio", "sdevio", "vdevio", "irqctl", "statectl", "settime"];

/// Storms in one system after another: where the storm may end it, it does.
fn storm(steps: u64, seed: u64, rights: impl Fn(u64) -> Rights) -> Histogram {
    /// Steps in one system at most.
    const MOST: u64 = 10_000;
    /// Systems between two looks at what has come up.
    const SHOWN: u64 = 100;
    let mut histogram = Histogram::default();
    let (mut done, mut systems) = (0, 0);
    while done < steps {
        let mut tables = Tables::new(LENDINGS);
        let mut storm = Storm::new(&mut tables, rights(systems), seed + systems, &mut histogram);
        storm.run(MOST.min(steps - done));
        done += storm.steps;
        systems += 1;
        if systems.is_multiple_of(SHOWN) {
            eprintln!("so far {done} traps in {systems} systems\n{histogram}");
        }
        assert!(systems < 1000 + steps / 10, "systems end too early: {systems} for {done} steps");
    }
    println!("{done} traps in {systems} systems\n{histogram}");
    histogram
}

/// What has not come up as often as it should.
fn missing(histogram: &Histogram, expected: impl Fn(Row, Result<(), Errno>) -> bool) -> Vec<String> {
    /// How often each result comes up at least in a storm of full length.
    const ENOUGH: u32 = 1000;
    let mut missing = Vec::new();
    for row in rows() {
        let often = is_soak() && !COPIES.contains(&row.name());
        let succeeds = !row.name().starts_with("no ") && !OF_THE_ROOT.contains(&row.name());
        let success = succeeds.then_some(Ok(()));
        let denied = matches!(row, Row::Call(Some(_))).then_some(Err(Errno::CallDenied));
        let results = success.into_iter().chain(denied).chain(reachable(row.name()).map(Err));
        for result in results.filter(|result| expected(row, *result)) {
            let count = histogram.of(row, result);
            let named = (row.name(), result);
            let least = if often && !WITH_GRANTS.contains(&named) { ENOUGH } else { 1 };
            if count < least && (is_soak() || !SELDOM.contains(&named)) {
                missing.push(format!("{} {result:?}: {count}", row.name()));
            }
        }
    }
    missing
}

#[test]
fn who_has_no_privileges_leaves_the_kernel_whole() {
    let service = calls(USERS) | calls(DRIVERS);
    // Each trap and each call is denied in one system or another; a call that comes seldom, in most.
    let denied = |system: u64| {
        let exit = if system.is_multiple_of(5) { 0 } else { calls(&["exit"]) };
        exit | calls(&USERS[system as usize % USERS.len()..][..1])
    };
    let rights = |system: u64| Rights {
        service,
        users: calls(USERS) & !denied(system),
        peers: service,
        users_lack: TrapMask::from_bits_truncate(1 << (system % 17)),
        users_storm: 100,
        scarce: Scarce::Nothing,
    };
    let histogram = storm(steps(200_000, 10_000_000), 1, rights);
    assert_eq!(histogram.strange(), 0, "a result register has what is no result");
    let missing = missing(&histogram, |row, result| match row {
        Row::Trap(_) | Row::Call(None) => true,
        Row::Call(Some(_)) => result == Err(Errno::CallDenied),
    });
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn who_has_all_privileges_leaves_the_kernel_whole() {
    let peers = calls(USERS) | calls(DRIVERS);
    let rights = |system: u64| Rights {
        service: u64::MAX,
        users: if system.is_multiple_of(2) { u64::MAX } else { calls(USERS) },
        peers,
        users_lack: TrapMask::REPLY_RECEIVE,
        users_storm: 40,
        scarce: SCARCE[system as usize % SCARCE.len()],
    };
    let histogram = storm(steps(160_000, 30_000_000), 1000, rights);
    let missing = missing(&histogram, |row, result| match row {
        Row::Trap(_) | Row::Call(None) => false,
        Row::Call(Some(_)) => result != Err(Errno::CallDenied),
    });
    assert!(missing.is_empty(), "{missing:#?}");
}
