//! What is asked of the file server, and what becomes of those who wait if it is slow, wrong, or gone.

use crate::bench::{Bench, test};
use crate::files::map;
use crate::vfs::{self, DEVICE, Question, Vfs, byte};
use abi::event::MemoryWait;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Signal};
use kernel_core::{MemoryAccess, Rts, Slot};
use protocol::vm::*;

const P: u64 = PAGE_SIZE;

/// A process that shows a file from [`HERE`] on, and who answers for it.
struct Scene {
    vfs: Vfs,
    who: Endpoint,
    at: u64,
}

fn with_scene(run: impl FnOnce(&mut Bench<'_, '_>, &mut Scene)) {
    test(|bench| {
        let mut vfs = vfs::start(bench);
        let who = bench.child(bench.first);
        let at = mapped(bench, &mut vfs, who, 5, 8);
        let mut scene = Scene { vfs, who, at };
        run(bench, &mut scene);
        let Scene { mut vfs, who, .. } = scene;
        if is_known(bench, who) {
            bench.end(who);
        }
        if is_known(bench, vfs.server) {
            vfs.serve(bench);
            assert!(vfs.open.is_empty(), "descriptors are left: {:?}", vfs.open);
            bench.end(vfs.server);
        }
        bench.end(vfs.fs);
        bench.assert_all_free();
    });
}

fn is_known(bench: &mut Bench<'_, '_>, process: Endpoint) -> bool {
    bench.call(bench.first, &GetUsage { process, reserved: 0 }).is_ok()
}

/// Maps pages of a file.
fn mapped(bench: &mut Bench<'_, '_>, vfs: &mut Vfs, who: Endpoint, inode: u64, pages: u64) -> u64 {
    let call = map(who, inode, 0, pages * P);
    bench.begins(who, 77, &call);
    vfs.serve(bench);
    bench.late(who, 77, &call).expect("it is answered").expect("it can be mapped").address
}

/// Touches a page; the process waits then.
fn touch(bench: &mut Bench<'_, '_>, process: Endpoint, address: u64) {
    assert_eq!(bench.fault(process, address, MemoryAccess::Read), None);
    assert_eq!(bench.peek(process, address, 1), None);
}

/// Whether a process has got a signal for its fault.
fn is_signaled(bench: &mut Bench<'_, '_>, process: Endpoint) -> bool {
    let rts = bench.system.borrow().kernel.process(Slot::of(process)).rts();
    let is_signaled = rts.contains(Rts::SIGNALED);
    if is_signaled {
        assert_eq!(bench.system.borrow_mut().take_signal(process), Signal::SEGV.bit());
        assert_eq!(bench.vm.take_segv().map(|segv| (segv.process, segv.why)), Some((process, Errno::Fault)));
    }
    is_signaled
}

#[test]
fn one_thing_is_asked_at_a_time_and_in_order() {
    with_scene(|bench, scene| {
        let Scene { vfs, who, at } = scene;
        let other = bench.child(*who);
        touch(bench, *who, *at);
        touch(bench, other, *at + P);
        let call = map(*who, 3, 0, P);
        bench.begins(bench.first, 5, &Map { process: other, ..call });
        bench.munmap(other, *at + 4 * P, 1).unwrap();
        let first = vfs.question(bench).expect("it is asked");
        let fd = *vfs.open.keys().next().unwrap();
        assert_eq!(first.1, Question::Read { fd, offset: 0 });
        assert_eq!(vfs.question(bench), None, "it has not answered");
        vfs.answer(bench, first);
        assert_eq!(bench.read(*who, *at), Ok(byte(5, 0)));
        let second = vfs.question(bench).expect("it is asked");
        assert_eq!(second.1, Question::Read { fd, offset: P });
        vfs.answer(bench, second);
        let third = vfs.question(bench).expect("it is asked");
        assert_eq!(third.1, Question::LookUp { process: other, fd: 3 });
        assert!(first.0 != second.0 && second.0 != third.0);
        vfs.answer(bench, third);
        assert!(bench.late(bench.first, 5, &call).is_some_and(|answer| answer.is_ok()));
        assert_eq!(vfs.question(bench), None);
        bench.end(other);
    });
}

#[test]
fn what_has_come_meanwhile_is_not_asked_for() {
    with_scene(|bench, scene| {
        let Scene { vfs, who, at } = scene;
        let other = bench.child(*who);
        touch(bench, *who, *at);
        touch(bench, other, *at);
        vfs.serve(bench);
        let reads = vfs.asked.iter().filter(|question| matches!(question, Question::Read { .. })).count();
        assert_eq!((reads, bench.read(other, *at)), (1, Ok(byte(5, 0))));
        let faults = |bench: &mut Bench<'_, '_>, process| {
            let usage = bench.does(process, &GetUsage { process, reserved: 0 });
            (usage.major_faults, usage.minor_faults)
        };
        assert_eq!((faults(bench, *who), faults(bench, other)), ((1, 0), (0, 1)));
        bench.end(other);
    });
}

#[test]
fn an_error_is_a_signal_and_no_more() {
    with_scene(|bench, scene| {
        let Scene { vfs, who, at } = scene;
        touch(bench, *who, *at);
        let (request, _) = vfs.question(bench).unwrap();
        vfs.fail(bench, request, Errno::Io);
        assert!(is_signaled(bench, *who));
        // It says that it has read it, and has not.
        touch(bench, *who, *at);
        let (request, _) = vfs.question(bench).unwrap();
        let good = FileAnswer { request, status: 0, device: DEVICE, inode: 5, size: 40 * P, fd: 1, reserved: 0 };
        bench.does(vfs.server, &good);
        assert!(is_signaled(bench, *who));
        assert_eq!(vfs.question(bench), None, "it is not asked again");
        // A status that is none.
        touch(bench, *who, *at);
        let (request, _) = vfs.question(bench).unwrap();
        bench.does(vfs.server, &FileAnswer { request, status: 12345, ..good });
        assert!(is_signaled(bench, *who));
        let usage = bench.does(*who, &GetUsage { process: *who, reserved: 0 });
        assert_eq!((usage.major_faults, usage.minor_faults), (0, 0));
    });
}

#[test]
fn answers_that_nobody_has_asked_for() {
    with_scene(|bench, scene| {
        let Scene { vfs, who, at } = scene;
        let answer = |request| FileAnswer { request, status: 0, device: DEVICE, inode: 5, size: P, fd: 9, reserved: 0 };
        for request in [0, 1, 2, u32::MAX] {
            bench.is_refused(vfs.server, &answer(request), Errno::Inval);
        }
        touch(bench, *who, *at);
        let (request, question) = vfs.question(bench).unwrap();
        for wrong in [0, request - 1, request + 1, u32::MAX] {
            bench.is_refused(vfs.server, &answer(wrong), Errno::Inval);
        }
        for other in [*who, vfs.fs, bench.first] {
            bench.is_refused(other, &answer(request), Errno::Perm);
        }
        vfs.answer(bench, (request, question));
        bench.is_refused(vfs.server, &answer(request), Errno::Inval);
        assert_eq!(bench.read(*who, *at), Ok(byte(5, 0)));
    });
}

#[test]
fn lies_about_a_file_that_was_looked_up() {
    with_scene(|bench, scene| {
        let Scene { vfs, who, .. } = scene;
        let call = map(*who, 3, 0, P);
        let known = *vfs.open.keys().next().unwrap();
        let mut tell = |bench: &mut Bench<'_, '_>, device, inode, fd| {
            bench.begins(*who, 1, &call);
            let (request, _) = vfs.question(bench).unwrap();
            let answer = FileAnswer { request, status: 0, device, inode, size: u64::MAX, fd, reserved: 0 };
            bench.does(vfs.server, &answer);
            bench.late(*who, 1, &call).expect("it is answered").map(drop)
        };
        for fd in [-1, i32::MIN, known] {
            assert_eq!(tell(bench, DEVICE, 3, fd), Err(Errno::Proto));
        }
        // A device that nobody has: there is nothing of it.
        assert_eq!(tell(bench, DEVICE + 1, 3, 50), Ok(()));
        vfs.open.insert(50, 3);
    });
}

#[test]
fn whoever_is_killed_waits_no_more() {
    with_scene(|bench, scene| {
        let Scene { vfs, who, at } = scene;
        // While the page is read.
        touch(bench, *who, *at);
        let asked = vfs.question(bench).unwrap();
        // And one whose turn has not come.
        let other = bench.child(bench.first);
        bench.begins(other, 3, &map(other, 3, 0, P));
        bench.end(other);
        bench.end(*who);
        vfs.answer(bench, asked);
        assert_eq!(bench.vm.take_segv(), None);
        let close = vfs.question(bench).unwrap();
        assert!(matches!(close.1, Question::Close { .. }), "{close:?}");
        vfs.answer(bench, close);
        assert_eq!(vfs.question(bench), None);
        assert!(bench.vm.take_late_answer().is_none());
    });
}

#[test]
fn a_file_that_is_looked_up_for_the_dead_is_closed() {
    with_scene(|bench, scene| {
        let Scene { vfs, .. } = scene;
        for is_asked in [true, false] {
            let other = bench.child(bench.first);
            bench.begins(other, 3, &map(other, 3, 0, P));
            let asked = is_asked.then(|| vfs.question(bench).unwrap());
            bench.end(other);
            let asked = asked.or_else(|| vfs.question(bench));
            vfs.answer(bench, asked.expect("the message was on its way"));
            let close = vfs.question(bench).unwrap();
            assert!(matches!(close.1, Question::Close { .. }), "{close:?}");
            vfs.answer(bench, close);
            assert_eq!(vfs.question(bench), None);
            assert!(bench.vm.take_late_answer().is_none(), "there is nobody to be answered");
        }
    });
}

#[test]
fn another_program_does_not_wait_for_what_the_old_one_wanted() {
    with_scene(|bench, scene| {
        let Scene { vfs, who, at } = scene;
        touch(bench, *who, *at);
        let fix = Fix { process: *who, write: 0, address: *at + P, len: P };
        bench.begins(bench.first, 9, &fix);
        let asked = vfs.question(bench).unwrap();
        bench.does(bench.first, &Clear { process: *who, reserved: 0 });
        assert_eq!(bench.late(bench.first, 9, &fix).map(|answer| answer.map(drop)), Some(Err(Errno::Fault)));
        vfs.answer(bench, asked);
        assert!(!is_signaled(bench, *who));
        vfs.serve(bench);
    });
}

#[test]
fn what_is_unmapped_meanwhile_is_a_fault() {
    with_scene(|bench, scene| {
        let Scene { vfs, who, at } = scene;
        touch(bench, *who, *at);
        let asked = vfs.question(bench).unwrap();
        // Somebody else does that.
        let unmap = Unmap { address: *at, len: 8 * P, process: *who, reserved: 0 };
        bench.does(bench.first, &unmap);
        // The descriptor is needed until the answer is there.
        assert_eq!(vfs.question(bench), None);
        vfs.answer(bench, asked);
        assert!(is_signaled(bench, *who));
    });
}

#[test]
fn fixed_ranges_are_answered_when_all_is_there() {
    with_scene(|bench, scene| {
        let Scene { vfs, who, at } = scene;
        let (server, other) = (vfs.server, bench.child(*who));
        let fix = Fix { process: *who, write: 1, address: *at, len: 3 * P };
        // The file server itself, which does not wait for the answer.
        bench.begins(server, 21, &fix);
        touch(bench, other, *at + 5 * P);
        for _ in 0..4 {
            assert!(bench.vm.take_late_answer().is_none());
            let asked = vfs.question(bench).unwrap();
            vfs.answer(bench, asked);
        }
        assert!(bench.late(server, 21, &fix).is_some_and(|answer| answer.is_ok()));
        assert_eq!((bench.resident(*who), bench.read(other, *at + 5 * P)), (3, Ok(byte(5, 5 * P))));
        let reads = vfs.asked.iter().filter_map(|question| match question {
            Question::Read { offset, .. } => Some(offset / P),
            _ => None,
        });
        assert_eq!(reads.collect::<Vec<_>>(), [0, 5, 1, 2], "others have their turn");
        // What is there is answered in the same way, and what cannot be.
        bench.begins(server, 22, &fix);
        assert!(bench.late(server, 22, &fix).is_some_and(|answer| answer.is_ok()));
        bench.begins(server, 23, &Fix { address: 0, ..fix });
        assert_eq!(bench.late(server, 23, &fix).map(|answer| answer.map(drop)), Some(Err(Errno::Fault)));
        let unfix = Unfix { process: *who, write: 1, address: *at, len: 3 * P };
        bench.does(server, &unfix);
        bench.does(server, &unfix);
        bench.is_refused(server, &unfix, Errno::Inval);
        // One that fails in the middle.
        bench.begins(server, 24, &Fix { address: *at + 4 * P, ..fix });
        vfs.sizes.insert(5, 6 * P);
        vfs.serve(bench);
        assert_eq!(bench.late(server, 24, &fix).map(|answer| answer.map(drop)), Some(Err(Errno::Fault)));
        bench.end(other);
    });
}

#[test]
fn nobody_asks_without_end() {
    with_scene(|bench, scene| {
        let Scene { vfs, who, .. } = scene;
        let call = map(*who, 3, 0, P);
        (0..64).for_each(|tag| bench.begins(*who, tag, &call));
        bench.is_refused(*who, &call, Errno::NoMem);
        let fix = Fix { process: *who, write: 0, address: scene.at, len: P };
        bench.is_refused(*who, &fix, Errno::NoMem);
        let other = bench.child(bench.first);
        bench.begins(other, 1, &map(other, 3, 0, P));
        vfs.serve(bench);
        for tag in 0..64 {
            assert!(bench.late(*who, tag, &call).is_some_and(|answer| answer.is_ok()));
        }
        assert_eq!(vfs.open.len(), 2, "one for each file");
        bench.end(other);
    });
}

#[test]
fn who_serves_files_does_not_wait_for_them() {
    with_scene(|bench, scene| {
        let Scene { vfs, who, at } = scene;
        // Memory of another, which a call of theirs needs.
        for requestor in [vfs.server, vfs.fs] {
            let wait = MemoryWait { requestor, process: *who, address: *at, len: 8, access: 0 };
            assert_eq!(crate::heap::served(|| bench.vm.event(&wait)), None);
            assert_eq!(vfs.question(bench), None, "it would have to answer while it waits");
        }
        let wait = MemoryWait { requestor: bench.first, process: *who, address: *at, len: 8, access: 0 };
        assert_eq!(crate::heap::served(|| bench.vm.event(&wait)), None);
        vfs.serve(bench);
        assert_eq!(bench.peek(*who, *at, 1), Some(vec![byte(5, 0)]));
        // Their own: a program that is loaded from a file.
        for process in [vfs.server, vfs.fs] {
            let fd = vfs.open(3);
            let (access, address, len) = (protocol::vmctl::Access::Execute, 0x40_0000, P);
            let file = MapFile { process, access, address, len, offset: 0, device: DEVICE, inode: 3, fd, clear_end: 0 };
            bench.does(vfs.server, &file);
            let segv = bench.fault(process, 0x40_0000, MemoryAccess::Execute);
            assert_eq!(segv.map(|segv| segv.why), Some(Errno::Fault));
            bench.system.borrow_mut().take_signal(process);
            bench.munmap(process, 0x40_0000, 1).unwrap();
            vfs.serve(bench);
        }
    });
}

#[test]
fn a_file_server_that_ends_leaves_nobody_waiting() {
    with_scene(|bench, scene| {
        let Scene { vfs, who, at } = scene;
        bench.is_refused(bench.first, &ServeFiles {}, Errno::Busy);
        bench.does(vfs.server, &ServeFiles {});
        let (first, other) = (bench.first, bench.child(*who));
        assert!(bench.fault(*who, *at + 7 * P, MemoryAccess::Read).is_none());
        vfs.serve(bench);
        touch(bench, *who, *at);
        touch(bench, other, *at + P);
        let call = map(first, 3, 0, P);
        bench.begins(first, 2, &call);
        let fix = Fix { process: other, write: 0, address: *at + 2 * P, len: P };
        bench.begins(first, 3, &fix);
        let (request, _) = vfs.question(bench).unwrap();
        bench.end(vfs.server);
        assert_eq!(bench.late(first, 2, &call).map(|answer| answer.map(drop)), Some(Err(Errno::Io)));
        assert_eq!(bench.late(first, 3, &fix).map(|answer| answer.map(drop)), Some(Err(Errno::Fault)));
        let taken = [(); 2].map(|()| bench.system.borrow_mut().root_does(&protocol::kernel::GetKSig {}));
        for signals in taken {
            assert!(signals.process == *who || signals.process == other);
            bench.system.borrow_mut().root_does(&protocol::kernel::EndKSig { process: signals.process });
        }
        assert!(bench.vm.take_segv().is_some());
        // What is in memory stays; what is not cannot be read any more.
        assert_eq!(bench.read(*who, *at + 7 * P), Ok(byte(5, 7 * P)));
        assert!(bench.fault(*who, *at, MemoryAccess::Read).is_some());
        bench.system.borrow_mut().take_signal(*who);
        bench.is_refused(first, &call, Errno::NoSys);
        // Another one takes its place: its descriptors are its own.
        let second = bench.child(first);
        bench.does(second, &ServeFiles {});
        let answer = FileAnswer { request, status: 0, device: DEVICE, inode: 5, size: P, fd: 1, reserved: 0 };
        bench.is_refused(second, &answer, Errno::Inval);
        vfs.server = second;
        vfs.open.clear();
        let again = mapped(bench, vfs, *who, 5, 8);
        touch(bench, *who, again);
        vfs.serve(bench);
        assert_eq!(bench.read(*who, again), Ok(byte(5, 0)));
        bench.end(other);
    });
}

#[test]
fn who_waits_is_not_updated() {
    with_scene(|bench, scene| {
        let Scene { vfs, who, at } = scene;
        let other = bench.plain_child(bench.first);
        bench.make_service(other);
        bench.make_service(*who);
        touch(bench, *who, *at);
        let direction = UpdateDirection::Forward;
        let update = Update { source: *who, destination: other, flags: 0, direction };
        bench.is_refused(bench.first, &update, Errno::Busy);
        bench.is_refused(bench.first, &Update { source: other, destination: *who, ..update }, Errno::Busy);
        vfs.serve(bench);
        bench.does(bench.first, &update);
        // The file goes with the program.
        assert_eq!(bench.read(other, *at), Ok(byte(5, 0)));
        bench.end(other);
    });
}
