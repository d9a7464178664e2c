//! What the kernel tells: faults and requests of processes that are there, or not any more.

use crate::bench::{Bench, test};
use crate::heap::served;
use crate::system::{PARENT, System};
use abi::boot::BootEntry;
use abi::event::MemoryWait;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Signal};
use kernel_core::{Action, CpuId, MemoryAccess, Rts, Slot};
use protocol::kernel::{Exec, KEEP, SchedCtl, Scheduler};
use protocol::privctl::Allow;
use protocol::vm::{GetUsage, WillExit};
use protocol::vmctl::Access;
use vm::{Need, Segv};

const P: u64 = PAGE_SIZE;
const HERE: u64 = 0x40_0000;

fn rts(bench: &Bench<'_, '_>, process: Endpoint) -> Rts {
    bench.system.borrow().kernel.process(Slot::of(process)).rts()
}

fn fault(process: Endpoint, address: u64) -> MemoryWait {
    MemoryWait { requestor: process, process, address, len: 0, access: 1 }
}

#[test]
fn a_fault_that_cannot_be_is_a_signal_and_is_counted_as_none() {
    test(|bench| {
        let who = bench.child(bench.first);
        bench.map_at(who, HERE, 1, Access::Write).unwrap();
        let segv = Segv { process: who, address: HERE + P, need: Need::Write, why: Errno::Fault };
        assert_eq!(served(|| bench.vm.event(&fault(who, HERE + P))), Some(segv));
        assert!(segv.to_string().contains("writes 0x401000: EFAULT"), "{segv}");
        assert!(rts(bench, who).contains(Rts::SIGNALED));
        assert_eq!(bench.system.borrow_mut().take_signal(who), Signal::SEGV.bit());
        assert_eq!(served(|| bench.vm.event(&fault(who, HERE))), None);
        assert_eq!(served(|| bench.vm.event(&fault(who, HERE))), None, "it is there already");
        let usage = bench.does(who, &GetUsage { process: who, reserved: 0 });
        assert_eq!((usage.minor_faults, usage.resident), (2, 1));
    });
}

/// A process that waits for a message gets another program, which writes to memory.
fn write_at(bench: &Bench<'_, '_>, process: Endpoint, address: u64) {
    let cpu = CpuId::new(PARENT).unwrap();
    let mut system = bench.system.borrow_mut();
    let name = BootEntry::encode_name("new").unwrap();
    system.root_does(&Exec { name, stack: HERE, entry: HERE, process, reserved: 0 });
    system.root_does(&Allow { process });
    let (scheduler, number) = (Scheduler::Kernel, PARENT as i32);
    system.root_does(&SchedCtl { process, scheduler, priority: 0, quantum: KEEP, cpu: number });
    assert_eq!(system.kernel.process(Slot::of(process)).rts(), Rts::empty());
    system.machine.cpu = cpu;
    let System { kernel, machine, .. } = &mut *system;
    assert_eq!(kernel.schedule(machine, cpu), Some(Slot::of(process)));
    let action = kernel.memory_fault(machine, cpu, address, MemoryAccess::Write, format_args!("test"));
    assert_eq!((action, kernel.schedule(machine, cpu)), (Action::Resume, None));
    assert!(kernel.process(Slot::of(process)).rts().contains(Rts::PAGE_FAULT));
}

/// A process has a page fault, of which the server is told; whether it goes on then.
fn goes_on(bench: &mut Bench<'_, '_>, who: Endpoint, address: u64) -> bool {
    write_at(bench, who, address);
    let segv = served(|| bench.vm.event(&fault(who, address)));
    bench.check();
    segv.is_none() && rts(bench, who).is_empty()
}

#[test]
fn whoever_has_a_fault_goes_on_with_its_page() {
    test(|bench| {
        let [fresh, copied, sole] = [(); 3].map(|()| bench.child(bench.first));
        for who in [fresh, copied, sole] {
            bench.map_at(who, HERE, 2, Access::Write).unwrap();
        }
        // Who goes on has the processor.
        assert!(goes_on(bench, fresh, HERE + 8), "there are no page tables yet");
        bench.end(fresh);
        bench.write(copied, HERE, 7).unwrap();
        bench.write(sole, HERE, 7).unwrap();
        let (child, other) = (bench.child(copied), bench.child(sole));
        assert!(goes_on(bench, copied, HERE), "its child shows the page, too");
        assert_eq!((bench.write(copied, HERE, 8), bench.read(child, HERE)), (Ok(()), Ok(7)));
        [copied, other].into_iter().for_each(|who| bench.end(who));
        assert!(goes_on(bench, sole, HERE), "nobody else shows the page any more");
        assert_eq!(bench.shown(sole, HERE / P).unwrap()[0], 7);
        [child, sole].into_iter().for_each(|who| bench.end(who));
        bench.assert_all_free();
    });
}

#[test]
fn whoever_cannot_have_its_page_waits_for_its_manager_and_for_nothing_else() {
    test(|bench| {
        let who = bench.child(bench.first);
        bench.map_at(who, HERE, 1, Access::Read).unwrap();
        assert!(!goes_on(bench, who, HERE));
        assert_eq!(rts(bench, who), Rts::SIGNALED | Rts::SIGNAL_PENDING);
        bench.system.borrow_mut().take_signal(who);
        bench.end(who);
        bench.assert_all_free();
    });
}

#[test]
fn whoever_is_about_to_end_is_not_answered() {
    test(|bench| {
        let (who, other) = (bench.child(bench.first), bench.child(bench.first));
        [who, other].into_iter().for_each(|who| bench.map_at(who, HERE, 1, Access::Write).unwrap());
        bench.does(bench.first, &WillExit { process: who, reserved: 0 });
        let before = bench.vm.describe();
        assert_eq!(served(|| bench.vm.event(&fault(who, HERE))), None);
        assert_eq!(served(|| bench.vm.event(&fault(who, 0))), None);
        for (requestor, process) in [(who, who), (who, other), (other, who)] {
            let wait = MemoryWait { requestor, process, address: HERE, len: 8, access: 1 };
            assert_eq!(served(|| bench.vm.event(&wait)), None);
        }
        assert_eq!((bench.vm.describe(), rts(bench, who).contains(Rts::SIGNALED)), (before, false));
    });
}

#[test]
fn events_of_nobody_do_nothing() {
    test(|bench| {
        let before = bench.vm.describe();
        for process in [Endpoint::NONE, Endpoint::ANY, Endpoint::new(900, 3).unwrap(), Endpoint::SYSTEM] {
            assert_eq!(served(|| bench.vm.event(&fault(process, HERE))).map(|segv| segv.process), Some(process));
            for access in [0, 1, 2, 255] {
                let wait = MemoryWait { requestor: process, process, address: HERE, len: u64::MAX >> 8, access };
                assert_eq!(served(|| bench.vm.event(&wait)), None);
            }
        }
        assert_eq!(bench.vm.describe(), before);
    });
}
