//! Devices: only what a process has a right to, and nothing of it is memory.

use crate::bench::{Bench, test};
use crate::machine::{DEVICE, KERNEL, RAM};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use kernel_core::Slot;
use kernel_core::tables::Backing;
use protocol::privctl::AddMemory;
use protocol::vm::*;
use protocol::vmctl::{Access, Cache};

const P: u64 = PAGE_SIZE;
/// A device with some pages of registers, the first of which are not the kernel's.
const REGISTERS: u64 = (DEVICE.start + 2) * P;

/// A driver that has a right to three pages of registers.
fn driver(bench: &mut Bench<'_, '_>) -> Endpoint {
    let process = bench.plain_child(bench.first);
    bench.make_service(process);
    bench.system.borrow_mut().root_does(&AddMemory { process, reserved: 0, start: REGISTERS, len: 3 * P });
    process
}

fn map(process: Endpoint) -> MapPhysical {
    let (access, cache) = (Access::Write, Cache::Off);
    MapPhysical { physical: REGISTERS, len: 3 * P, process, access, cache, reserved: 0 }
}

/// The physical address of what a process sees at an address, if that is a device.
fn device_at(bench: &Bench<'_, '_>, process: Endpoint, address: u64) -> Option<u64> {
    let system = bench.system.borrow();
    let root = system.kernel.process(Slot::of(process)).space?.root();
    let page = system.machine.walk(root, address).filter(|page| page.rights.backing == Backing::Device)?;
    Some(page.frame.address() + address % P)
}

#[test]
fn registers_are_seen_where_the_answer_says() {
    test(|bench| {
        let who = driver(bench);
        let whole = bench.does(who, &map(who)).address;
        let part = MapPhysical { physical: REGISTERS + 0x123, len: 2 * P, access: Access::Read, ..map(who) };
        let part = bench.does(who, &part).address;
        assert_eq!(part % P, 0x123);
        for (address, offset) in
            [(whole, 0), (whole + 3 * P - 1, 3 * P - 1), (part, 0x123), (part + 2 * P, 2 * P + 0x123)]
        {
            assert_eq!(device_at(bench, who, address), Some(REGISTERS + offset));
        }
        assert_eq!(bench.resident(who), 0, "it is no memory");
        let unmap = |address| UnmapPhysical { address, process: who, reserved: 0 };
        bench.is_refused(who, &unmap(whole + P), Errno::Inval);
        bench.does(who, &unmap(part));
        bench.is_refused(who, &unmap(part), Errno::Inval);
        assert_eq!((device_at(bench, who, part), device_at(bench, who, whole)), (None, Some(REGISTERS)));
        bench.munmap(who, whole + P, 1).unwrap();
        bench.check();
        assert_eq!([0, P, 2 * P].map(|skip| device_at(bench, who, whole + skip).is_some()), [true, false, true]);
        bench.does(who, &Protect { address: whole, len: P, process: who, access: Access::Read });
        bench.is_refused(who, &Protect { address: whole, len: P, process: who, access: Access::Execute }, Errno::Perm);
        let child = bench.plain_child(who);
        assert_eq!(device_at(bench, child, whole + 2 * P), Some(REGISTERS + 2 * P));
        [who, child].into_iter().for_each(|who| bench.end(who));
        bench.assert_all_free();
    });
}

#[test]
fn what_is_not_a_process_s_own_is_refused() {
    test(|bench| {
        let (who, other) = (driver(bench), bench.plain_child(bench.first));
        bench.make_service(other);
        for (physical, len, error) in [
            (REGISTERS - 1, P, Errno::Perm),
            (REGISTERS, 3 * P + 1, Errno::Perm),
            (KERNEL.start * P, P, Errno::Perm),
            (DEVICE.start * P, P, Errno::Perm),
            (RAM.start * P, P, Errno::Perm),
            (REGISTERS, 0, Errno::Inval),
            (u64::MAX, 2, Errno::Inval),
        ] {
            bench.is_refused(who, &MapPhysical { physical, len, ..map(who) }, error);
        }
        bench.is_refused(who, &MapPhysical { access: Access::Execute, ..map(who) }, Errno::Inval);
        bench.is_refused(other, &map(other), Errno::Perm);
        // A right to memory is none to RAM.
        bench.system.borrow_mut().root_does(&AddMemory { process: who, reserved: 0, start: RAM.start * P, len: P });
        bench.is_refused(who, &MapPhysical { physical: RAM.start * P, len: P, ..map(who) }, Errno::Perm);
        bench.does(bench.first, &SetLimits { process: who, reserved: 0, pages: 2, resident: UNLIMITED });
        bench.is_refused(who, &map(who), Errno::NoMem);
    });
}
