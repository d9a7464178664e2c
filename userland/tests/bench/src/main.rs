//! Measures the paths through the kernel. Under QEMU's instruction counting the time-stamp counter advances by one with
//! each instruction, of user and kernel together, so the figures are exact and the same in every run.
#![no_std]
#![no_main]

mod copies;
mod mappings;
mod memory;

use abi::{Endpoint, Errno, PrivilegeFlags, PrivilegeId, PrivilegeSpec, Trap};
use bench::timed::{Sample, notify_and_receive, trap};
use bench::{Trouble, report, timed};
use protocol::Call;
use protocol::echo::{Client, Reverse};
use protocol::getinfo::GetBootPolicy;
use protocol::kernel::{Fork, Times};
use protocol::privctl::UpdateSys;
use sys::Ipc;

sys::entry!(main);

fn main() -> u64 {
    bench::finish(measure_all())
}

fn measure_all() -> Result<(), Trouble> {
    let find = |name| sys::lookup(name).ok_or(Errno::Srch);
    let (mirror, echo, notifier) = (find("mirror")?, find("echo")?, find("notifier")?);
    report("kcall.null", null_call)?;
    report("ipc.roundtrip", |i| round_trip(mirror, i))?;
    report("ipc.roundtrip.typed", |i| typed_round_trip(echo, i))?;
    report("notify.roundtrip", |_| notify_round_trip(notifier))?;
    let me = sys::whoami()?.endpoint;
    be_managed_by(find("handler")?, me)?;
    report("fault.exception", |_| Ok(timed::breakpoint()))?;
    memory::measure(me)?;
    let lender = find("lender")?;
    copies::measure(lender)?;
    mappings::measure(me, lender)?;
    fill_process_table(notifier)?;
    report("ipc.roundtrip.full", |i| round_trip(mirror, i))
}

/// Makes `manager` the signal manager of this program.
fn be_managed_by(manager: Endpoint, me: Endpoint) -> Result<(), Errno> {
    let policy = sys::getinfo().boot_policy(GetBootPolicy { index: me.slot() as u64 })?;
    let spec = PrivilegeSpec {
        sends: PrivilegeId::mask_of_boot_programs(policy.sends),
        calls: policy.calls,
        flags: PrivilegeFlags::PREEMPTIBLE.bits(),
        init_flags: 0,
        traps: policy.traps,
        manager,
        backup: Endpoint::NONE,
        reserved: 0,
    };
    sys::privctl().update_sys(UpdateSys { spec, process: Endpoint::SELF, reset_ranges: 0 }).map(drop)
}

/// Puts a process into every free slot: children of one that waits, which never run.
fn fill_process_table(parent: Endpoint) -> Result<(), Errno> {
    let mut made = 0;
    for slot in 0..Endpoint::SLOTS as u32 {
        match sys::kernel().fork(Fork { parent, slot }) {
            Ok(_) => made += 1,
            Err(Errno::Inval) => {} // Somebody is there.
            Err(errno) => return Err(errno),
        }
    }
    /// Fewer than this are here from the beginning.
    const FIRST: usize = 24;
    if made < Endpoint::SLOTS - FIRST { Err(Errno::NoSpc) } else { Ok(()) }
}

/// The cheapest kernel call that returns to its caller.
fn null_call(_: u64) -> Result<u32, Trouble> {
    let Sample { registers, instructions } = trap(Trap::KernelCall, Endpoint::NONE, Times::KIND.0.into(), [0; 7]);
    Errno::from_result(registers.rax as i64)?;
    if registers.body[1] == 0 { Err(Trouble::WrongAnswer) } else { Ok(instructions) }
}

/// A call to a server in another address space and its answer: both change the whole payload.
fn round_trip(to: Endpoint, i: u64) -> Result<u32, Trouble> {
    let body = [1, 2, 3, 4, 5, 6, 7].map(|word: u64| word.wrapping_mul(i ^ 0x9e37_79b9_7f4a_7c15));
    let Sample { registers, instructions } = trap(Trap::SendRec, to, 1, body);
    Errno::from_result(registers.rax as i64)?;
    let right = registers.body == body.map(|word| !word) && registers.rdi == to.raw().into();
    if right { Ok(instructions) } else { Err(Trouble::WrongAnswer) }
}

/// The same through a typed client and a server written with `protocol!`.
fn typed_round_trip(to: Endpoint, i: u64) -> Result<u32, Trouble> {
    let mut echo = Client { to, transport: Ipc::default() };
    let words = [i, 1, 2, 3, 4, 5, !i];
    let before = timed::now();
    let answer = echo.reverse(Reverse { words });
    let instructions = timed::now().wrapping_sub(before) as u32;
    let mut expected = words;
    expected.reverse();
    if answer?.words == expected { Ok(instructions) } else { Err(Trouble::WrongAnswer) }
}

/// A notification there and one back.
fn notify_round_trip(to: Endpoint) -> Result<u32, Trouble> {
    let Sample { registers, instructions } = notify_and_receive(to);
    Errno::from_result(registers.rax as i64)?;
    if registers.rdi == to.raw().into() { Ok(instructions) } else { Err(Trouble::WrongAnswer) }
}
