//! Boot programs and services.

use super::fake::{Program, WITH_USERS, boot};
use super::*;
use abi::boot::BootFlags;
use abi::{Endpoint, Errno};
use protocol::kernel::Clear;
use protocol::pm::*;

impl Bench<'_> {
    /// A service.
    pub(super) fn service(&mut self) -> SrvForked {
        self.asks(boot("rs"), &SrvFork { uid: 0, gid: 0 }).expect("there is room")
    }

    pub(super) fn pid_of(&mut self, process: Endpoint) -> Result<(u32, u32), Errno> {
        self.asks(boot("rs"), &PidOf { process, reserved: 0 }).map(|found| (found.pid, found.parent))
    }
}

#[test]
fn the_tree_at_boot_has_init_as_its_root() {
    test(|bench| {
        let (init, init_parent) = bench.pid_of(boot("init")).unwrap();
        assert_eq!((init, init_parent), (1, 0));
        let (rs, parent) = bench.pid_of(boot("rs")).unwrap();
        assert_eq!(parent, init);
        let mut pids = std::vec![init, rs];
        for name in ["pm", "hello", "vm"] {
            let (pid, parent) = bench.pid_of(boot(name)).unwrap();
            assert_eq!(parent, rs, "{name}");
            assert!(!pids.contains(&pid) && (2..=LAST_PID).contains(&pid), "{name} {pid}");
            pids.push(pid);
        }
        let list: std::vec::Vec<_> = (0..Endpoint::SLOTS as u32)
            .filter_map(|slot| bench.asks(boot("rs"), &GetProcessStatus { slot, reserved: 0 }).ok())
            .collect();
        assert_eq!(list.len(), 5, "a file is no process");
        assert!(list.iter().all(|p| (p.group, p.session) == (p.pid, p.pid)));
        let services = list.iter().filter(|p| p.flags & ProcessFlags::SERVICE.bits() != 0).count();
        assert_eq!(services, 4, "init is none");
    });
}

#[test]
fn without_a_first_user_process_the_root_system_process_is_the_root() {
    const FEW: &[Program] = &[("pm", BootFlags::SERVED), ("rs", BootFlags::ROOT)];
    test_with(FEW, |bench| {
        let [pm, rs] = [0, 1].map(|slot| Endpoint::new(slot, 0).unwrap());
        let found = bench.asks(rs, &PidOf { process: rs, reserved: 0 }).unwrap();
        assert_eq!(found.parent, 0);
        let child = bench.asks(rs, &PidOf { process: pm, reserved: 0 }).unwrap();
        assert_eq!(child.parent, found.pid);
    });
}

/// Their parent would be the first user process. They end as all users do, and leave nothing.
#[test]
fn users_of_the_boot_table_are_no_services() {
    test_with(WITH_USERS, |bench| {
        let [ping, pong] = [1, 5].map(|slot| Endpoint::new(slot, 0).unwrap());
        let before = bench.len();
        for user in [ping, pong] {
            assert_eq!(bench.pid_of(user).unwrap().1, 0, "nobody's child");
        }
        bench.fault(ping, 11);
        assert!(!bench.lives(ping) && bench.lives(pong));
        assert_eq!((bench.len(), bench.pid_of(ping)), (before - 1, Err(Errno::Srch)));
        let (child, _) = bench.fork(pong);
        // Its parent leads a session, whose end it survives in one of its own.
        bench.asks(child, &SetSession {}).unwrap();
        bench.exit(pong, 3);
        assert_eq!((bench.pid_of(pong), bench.pid_of(child).unwrap().1), (Err(Errno::Srch), 0));
        assert_eq!(bench.asks(child, &Kill { pid: -1, signal: 0 }).map(drop), Ok(()));
    });
}

/// Where the root system process manages users, it ends them as it ends services.
#[test]
fn users_of_another_manager_are_like_services() {
    let world = || {
        let mut world = World::new(WITH_USERS);
        world.manages_users = false;
        world
    };
    test_in(world, |bench| {
        let ping = Endpoint::new(1, 0).unwrap();
        let (rs, _) = bench.pid_of(boot("rs")).unwrap();
        assert_eq!(bench.pid_of(ping).unwrap().1, rs);
        bench.asks(boot("rs"), &SrvExit { process: ping, reserved: 0 }).unwrap();
        assert_eq!(bench.pid_of(ping), Err(Errno::Srch));
    });
}

#[test]
fn a_table_without_a_root_is_none() {
    std::thread::scope(|_| {
        let world = RefCell::new(World::new(&[("pm", BootFlags::SERVED)]));
        let mut table = Box::new(Table::EMPTY);
        let mut pm = Pm::new(Wire(&world), Wire(&world), &mut table);
        assert_eq!(pm.boot(), Err(crate::BootFailure::NoRoot));
    });
}

#[test]
fn services_are_made_and_ended_for_the_root_system_process() {
    test(|bench| {
        let (rs, _) = bench.pid_of(boot("rs")).unwrap();
        let before = bench.len();
        let a = bench.asks(boot("rs"), &SrvFork { uid: 5, gid: 6 }).unwrap();
        let b = bench.service();
        assert_eq!(bench.pid_of(a.child), Ok((a.pid, rs)));
        assert_ne!((a.pid, a.child), (b.pid, b.child));
        let ids = bench.pm.table[crate::Slot::of(a.child)].ids;
        assert_eq!((ids.user.effective, ids.group.real), (5, 6));
        bench.check();
        bench.asks(boot("rs"), &SrvExit { process: a.child, reserved: 0 }).unwrap();
        assert_eq!(bench.pid_of(a.child), Err(Errno::Srch));
        assert_eq!(bench.asks(boot("rs"), &SrvExit { process: a.child, reserved: 0 }), Err(Errno::Srch));
        bench.check();
        // The slot is used again, under another endpoint.
        let c = bench.service();
        assert_eq!(c.child.slot(), a.child.slot());
        assert!(c.child != a.child && c.pid != a.pid);
        for process in [b.child, c.child] {
            bench.asks(boot("rs"), &SrvExit { process, reserved: 0 }).unwrap();
        }
        assert_eq!(bench.len(), before);
    });
}

#[test]
fn boot_programs_are_root_until_the_root_system_process_says_who_they_are() {
    test(|bench| {
        let (rs, init) = (boot("rs"), boot("init"));
        let ids = |bench: &mut Bench<'_>| {
            let slot = init.slot() as u32;
            let found = bench.asks(rs, &GetProcessStatus { slot, reserved: 0 }).unwrap();
            (found.uid, found.effective_uid)
        };
        assert_eq!(ids(bench), (0, 0));
        let call = SrvIds { process: init, uid: 5, gid: LAST_ID };
        for (who, call, error) in [
            (boot("hello"), call, Errno::Perm),
            (init, SrvIds { process: boot("hello"), ..call }, Errno::Perm),
            (rs, SrvIds { uid: LAST_ID + 1, ..call }, Errno::Inval),
            (rs, SrvIds { gid: u32::MAX, ..call }, Errno::Inval),
            (rs, SrvIds { process: Endpoint::NONE, ..call }, Errno::Srch),
        ] {
            assert_eq!(bench.asks(who, &call), Err(error));
            bench.world.borrow_mut().get(who).unwrap().waits = None;
        }
        assert_eq!(ids(bench), (0, 0));
        assert_eq!(bench.asks(rs, &call), Ok(SrvIdsSet {}));
        assert_eq!(ids(bench), (5, 5));
        let group = bench.pm.table[crate::Slot::of(init)].ids.group;
        assert_eq!((group.real, group.effective, group.saved), (LAST_ID, LAST_ID, LAST_ID));
        assert_eq!(bench.asks(init, &SetUid { uid: 0, reserved: 0 }), Err(Errno::Perm));
    });
}

#[test]
fn a_service_that_has_gone_already_is_ended_all_the_same() {
    test(|bench| {
        let a = bench.service();
        bench.world.borrow_mut().denies = Some((Clear::KIND, Errno::Inval));
        assert_eq!(bench.asks(boot("rs"), &SrvExit { process: a.child, reserved: 0 }), Ok(SrvExited {}));
        bench.world.borrow_mut().denies = None;
        bench.world.borrow_mut().vanish(a.child);
        let b = bench.service();
        bench.world.borrow_mut().denies = Some((Clear::KIND, Errno::CallDenied));
        let denied = bench.asks(boot("rs"), &SrvExit { process: b.child, reserved: 0 });
        assert_eq!(denied, Err(Errno::CallDenied));
        bench.world.borrow_mut().denies = None;
        assert!(bench.pid_of(b.child).is_ok(), "it is still there");
    });
}

#[test]
fn only_the_root_system_process_makes_services() {
    test(|bench| {
        let a = bench.service();
        let before = bench.len();
        for who in ["hello", "init", "pm"].map(boot).into_iter().chain([a.child]) {
            bench.world.borrow_mut().get(who).unwrap().waits = None;
            assert_eq!(bench.asks(who, &SrvFork { uid: 0, gid: 0 }), Err(Errno::Perm));
            assert_eq!(bench.asks(who, &SrvExit { process: a.child, reserved: 0 }), Err(Errno::Perm));
        }
        let rs = boot("rs");
        assert_eq!(bench.asks(rs, &SrvExit { process: rs, reserved: 0 }), Err(Errno::Perm));
        assert_eq!(bench.asks(rs, &SrvExit { process: boot("init"), reserved: 0 }), Err(Errno::Inval));
        assert_eq!(bench.asks(rs, &SrvFork { uid: u32::MAX, gid: 0 }), Err(Errno::Inval));
        assert_eq!(bench.asks(rs, &SrvFork { uid: 0, gid: LAST_ID + 1 }), Err(Errno::Inval));
        assert_eq!(bench.len(), before);
    });
}

#[test]
fn users_ask_about_themselves_only() {
    test(|bench| {
        let own = bench.asks(boot("init"), &PidOf { process: Endpoint::SELF, reserved: 0 });
        assert_eq!(own, Ok(PidFound { pid: 1, parent: 0 }));
        let other = bench.asks(boot("init"), &PidOf { process: boot("rs"), reserved: 0 });
        assert_eq!(other, Err(Errno::Perm));
        assert!(bench.asks(boot("hello"), &PidOf { process: boot("rs"), reserved: 0 }).is_ok());
    });
}

#[test]
fn a_full_table_is_an_error_and_the_memory_server_s_errors_are_told() {
    test(|bench| {
        bench.world.borrow_mut().denies = Some((protocol::vm::Spawn::KIND, Errno::NoMem));
        assert_eq!(bench.asks(boot("rs"), &SrvFork { uid: 0, gid: 0 }), Err(Errno::NoMem));
        bench.world.borrow_mut().denies = None;
        let before = bench.len();
        let mut all = std::vec::Vec::new();
        let last = loop {
            match bench.asks(boot("rs"), &SrvFork { uid: 0, gid: 0 }) {
                Ok(made) => all.push(made.child),
                Err(error) => break error,
            }
        };
        assert_eq!((last, before + all.len()), (Errno::Again, Endpoint::SLOTS));
        for process in all {
            bench.asks(boot("rs"), &SrvExit { process, reserved: 0 }).unwrap();
        }
        assert_eq!(bench.len(), before);
    });
}

#[test]
fn pids_wrap_around_and_skip_those_that_are_used() {
    test(|bench| {
        let (_, rs) = bench.pid_of(boot("pm")).unwrap();
        bench.pm.table.set_last_pid(LAST_PID - 1);
        let last = bench.service();
        let next = bench.service();
        assert_eq!(last.pid, LAST_PID);
        assert!(next.pid > rs && next.pid < 20, "{}", next.pid);
        bench.pm.table.set_last_pid(LAST_PID - 1);
        let skipped = bench.service();
        assert_eq!(skipped.pid, next.pid + 1, "the last one and the first ones are used");
        for process in [last.child, next.child, skipped.child] {
            bench.asks(boot("rs"), &SrvExit { process, reserved: 0 }).unwrap();
        }
    });
}

#[test]
fn slots_that_are_none_are_told() {
    test(|bench| {
        for slot in [Endpoint::SLOTS as u32, u32::MAX] {
            assert_eq!(bench.asks(boot("rs"), &GetProcessStatus { slot, reserved: 0 }).map(drop), Err(Errno::Dom));
        }
        let free = bench.asks(boot("rs"), &GetProcessStatus { slot: 5, reserved: 0 }).map(drop);
        assert_eq!(free, Err(Errno::Srch));
    });
}
