//! What the kernel tells: faults and requests of processes that are there, or not any more.

use crate::bench::{Bench, test};
use crate::heap::served;
use abi::event::MemoryWait;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Signal};
use kernel_core::{Rts, Slot};
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
