//! Random traps and kernel calls against the kernel's state machine, on a machine with real memory. Invariants are checked
//! after each step, memory again and again.
//!
//! `SELIX_SOAK=1` makes the storms as long as they should be, and asks for the seldom results too.

mod audit;
mod driver;
mod machine;
mod regs;
mod repair;
mod world;

use abi::TrapMask;
use driver::Storm;
use protocol::kernel::right_by_name;
use storm::{DOCUMENTED, Histogram, Row, TRAPS, UNREACHABLE, rows};
use world::{Rights, Tables};

/// Results that take a long series of the right calls, so that a short storm may well be over before.
const SELDOM: &[&str] = &[
    "kernel.schedule Err(BadCpu)",
    "kernel.update Err(NoMem)",
    "privctl.set_sys Err(Busy)",
    "privctl.add_io Err(NoMem)",
    "irqctl.set_policy Err(NoSpc)",
    "kernel.abort Err(Inval)",
    "kernel.runctl Err(Busy)",
    "privctl.add_memory Err(NoMem)",
    "vmctl.create Err(NoSpc)",
    "kernel.safeunmap Ok(())",
    "kernel.kill Err(Perm)",
    "privctl.add_irq Err(NoMem)",
    "vmctl.claim Err(NoMem)",
    "vmctl.unmap Err(Busy)",
    "vmctl.protect Err(Busy)",
    "vmctl.release Ok(())",
    "vmctl.next_event Ok(())",
    "vmctl.answer_request Ok(())",
];

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

/// What any program may be given.
const USERS: &[&str] = &["times", "whoami", "boot_entry", "diag_write", "exit", "umap", "getinfo"];
/// What a driver may be given besides.
const DRIVERS: &[&str] = &["setalarm", "memset", "devio", "sdevio", "vdevio", "irqctl", "statectl", "settime"];

/// Storms in one system after another: where the storm may end it, it does.
fn storm(steps: u64, seed: u64, rights: impl Fn(u64) -> Rights) -> Histogram {
    /// Steps in one system at most.
    const MOST: u64 = 10_000;
    /// Systems between two looks at what has come up.
    const SHOWN: u64 = 100;
    let mut histogram = Histogram::default();
    let (mut done, mut systems) = (0, 0);
    while done < steps {
        let mut tables = Tables::new();
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

/// What should have come up, and did not.
fn missing(histogram: &Histogram, expected: impl Fn(Row) -> bool) -> Vec<String> {
    let mut missing = Vec::new();
    for row in rows().filter(|row| expected(*row)) {
        let errors = TRAPS.iter().chain(DOCUMENTED).find(|(name, _)| *name == row.name()).map(|(_, errors)| *errors);
        let success = (!row.name().starts_with("no ")).then_some(Ok(()));
        let errors = errors.expect("every row is listed").iter();
        let reachable = errors.filter(|errno| !UNREACHABLE.iter().any(|(n, e, _)| *n == row.name() && e == *errno));
        for result in success.into_iter().chain(reachable.map(|errno| Err(*errno))) {
            let named = format!("{} {result:?}", row.name());
            if histogram.of(row, result) == 0 && (is_soak() || !SELDOM.contains(&named.as_str())) {
                missing.push(named);
            }
        }
    }
    missing
}

#[test]
fn who_has_no_privileges_leaves_the_kernel_whole() {
    let service = calls(USERS) | calls(DRIVERS);
    let rights = |system: u64| Rights {
        service,
        users: calls(USERS),
        peers: service,
        // Each trap is denied in one system or another.
        users_lack: TrapMask::from_bits_truncate(1 << (system % 17)),
        users_storm: 100,
        spaces_left: None,
    };
    let histogram = storm(steps(200_000, 10_000_000), 1, rights);
    assert_eq!(histogram.strange(), 0, "a result register has what is no result");
    let allowed = |row: Row| match row {
        Row::Trap(_) | Row::Call(None) => true,
        Row::Call(Some(_)) => false,
    };
    let missing = missing(&histogram, allowed);
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Calls that need tables of grants, which nobody in the storm has yet.
const NEED_GRANTS: [&str; 8] = [
    "kernel.vircopy",
    "kernel.physcopy",
    "kernel.safecopyfrom",
    "kernel.safecopyto",
    "kernel.vsafecopy",
    "kernel.setgrant",
    "kernel.safemap",
    "kernel.safememset",
];

#[test]
fn who_has_all_privileges_leaves_the_kernel_whole() {
    let peers = calls(USERS) | calls(DRIVERS);
    let rights = |system: u64| Rights {
        service: u64::MAX,
        users: if system.is_multiple_of(2) { u64::MAX } else { calls(USERS) },
        peers,
        users_lack: TrapMask::REPLY_RECEIVE,
        users_storm: 40,
        spaces_left: system.is_multiple_of(2).then_some(13),
    };
    let histogram = storm(steps(50_000, 2_000_000), 1000, rights);
    let missing = missing(&histogram, |row| matches!(row, Row::Call(Some(call)) if !NEED_GRANTS.contains(&call.name)));
    assert!(missing.is_empty(), "{missing:#?}");
}
