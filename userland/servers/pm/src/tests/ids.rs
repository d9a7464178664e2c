//! Users, groups and sessions.

use super::fake::boot;
use super::*;

fn uid(bench: &mut Bench<'_>, who: Endpoint) -> (u32, u32, u32) {
    let ids = bench.asks(who, &GetIds {}).unwrap();
    (ids.uid, ids.effective_uid, ids.saved_uid)
}

fn gid(bench: &mut Bench<'_>, who: Endpoint) -> (u32, u32, u32) {
    let ids = bench.asks(who, &GetIds {}).unwrap();
    (ids.gid, ids.effective_gid, ids.saved_gid)
}

#[test]
fn root_becomes_anybody_and_nobody_becomes_root() {
    test(|bench| {
        let (child, _) = bench.child();
        bench.asks(child, &SetGid { gid: 8, reserved: 0 }).unwrap();
        bench.asks(child, &SetUid { uid: 7, reserved: 0 }).unwrap();
        assert_eq!((uid(bench, child), gid(bench, child)), ((7, 7, 7), (8, 8, 8)));
        for id in [0, 8, LAST_ID] {
            assert_eq!(bench.asks(child, &SetUid { uid: id, reserved: 0 }), Err(Errno::Perm));
            assert_eq!(bench.asks(child, &SetEffectiveUid { uid: id, reserved: 0 }), Err(Errno::Perm));
        }
        assert_eq!(bench.asks(child, &SetGid { gid: 7, reserved: 0 }), Err(Errno::Perm));
        assert_eq!(bench.asks(child, &SetEffectiveGid { gid: 0, reserved: 0 }), Err(Errno::Perm));
        bench.asks(child, &SetUid { uid: 7, reserved: 0 }).unwrap();
        for bad in [LAST_ID + 1, u32::MAX] {
            assert_eq!(bench.asks(child, &SetUid { uid: bad, reserved: 0 }), Err(Errno::Inval));
            assert_eq!(bench.asks(boot("init"), &SetEffectiveGid { gid: bad, reserved: 0 }), Err(Errno::Inval));
        }
        assert_eq!((uid(bench, child), gid(bench, child)), ((7, 7, 7), (8, 8, 8)));
    });
}

#[test]
fn an_effective_id_is_left_and_taken_again() {
    test(|bench| {
        let (child, _) = bench.child();
        bench.asks(child, &SetEffectiveUid { uid: 7, reserved: 0 }).unwrap();
        assert_eq!(uid(bench, child), (0, 7, 0));
        assert_eq!(bench.asks(child, &SetUid { uid: 9, reserved: 0 }), Err(Errno::Perm));
        bench.asks(child, &SetEffectiveUid { uid: 0, reserved: 0 }).unwrap();
        assert_eq!(uid(bench, child), (0, 0, 0));
    });
}

#[test]
fn a_set_id_program_works_as_its_owner_and_can_go_back() {
    test(|bench| {
        let (child, _) = bench.child();
        bench.asks(child, &SetUid { uid: 7, reserved: 0 }).unwrap();
        let name = abi::boot::BootEntry::encode_name("su").unwrap();
        let flags = ExecFlags::SET_UID.bits();
        let exec = ExecNew { process: child, flags, uid: 50, gid: 60, name };
        let done = bench.asks(boot("rs"), &exec).unwrap();
        assert_eq!((done.set_id, uid(bench, child), gid(bench, child)), (1, (7, 50, 50), (0, 0, 0)));
        let restart = ExecRestart { process: child, error: 0, entry: HANDLER, stack: HANDLER };
        bench.asks(boot("rs"), &restart).unwrap();
        bench.asks(child, &SetEffectiveUid { uid: 7, reserved: 0 }).unwrap();
        bench.asks(child, &SetEffectiveUid { uid: 50, reserved: 0 }).unwrap();
        assert_eq!(bench.asks(child, &SetEffectiveUid { uid: 51, reserved: 0 }), Err(Errno::Perm), "a third one");
        // Traced, it stays what it is.
        let (other, _) = bench.child();
        bench.asks(other, &SetUid { uid: 7, reserved: 0 }).unwrap();
        bench.asks(other, &Ptrace { request: TraceRequest::TraceMe, pid: 0, address: 0, data: 0 }).unwrap();
        let done = bench.asks(boot("rs"), &ExecNew { process: other, ..exec }).unwrap();
        assert_eq!((done.set_id, uid(bench, other)), (0, (7, 7, 7)));
    });
}

#[test]
fn supplementary_groups_are_root_s_to_set() {
    test(|bench| {
        let (child, _) = bench.child();
        let mut groups = [0; MAX_GROUPS];
        groups[..3].copy_from_slice(&[5, 6, LAST_ID]);
        bench.asks(child, &SetGroups { count: 3, groups }).unwrap();
        let kept = Groups { count: 3, groups };
        assert_eq!(bench.asks(child, &GetGroups {}), Ok(kept));
        for (count, bad) in [(13, 0), (u32::MAX, 0), (2, LAST_ID + 1)] {
            let mut groups = groups;
            groups[1] = bad;
            assert_eq!(bench.asks(child, &SetGroups { count, groups }), Err(Errno::Inval));
        }
        assert_eq!(bench.asks(child, &GetGroups {}), Ok(kept), "checked before anything is changed");
        bench.asks(child, &SetUid { uid: 7, reserved: 0 }).unwrap();
        assert_eq!(bench.asks(child, &SetGroups { count: 0, groups }), Err(Errno::Perm));
        let (grandchild, _) = bench.fork(child);
        assert_eq!(bench.asks(grandchild, &GetGroups {}), Ok(kept));
    });
}

#[test]
fn sessions_begin_with_who_leads_no_group() {
    test(|bench| {
        let (child, pid) = bench.child();
        assert_eq!(bench.asks(child, &SetSession {}), Ok(SessionSet { pid, reserved: 0 }));
        assert_eq!(bench.asks(child, &SetSession {}), Err(Errno::Perm));
        let (member, member_pid) = bench.fork(child);
        let own = Group { group: pid, session: pid };
        assert_eq!(bench.asks(member, &GetGroup { pid: 0, reserved: 0 }), Ok(own));
        assert_eq!(bench.asks(boot("init"), &GetGroup { pid: member_pid, reserved: 0 }), Ok(own));
        assert_eq!(bench.asks(member, &GetGroup { pid: 29_999, reserved: 0 }), Err(Errno::Srch));
    });
}

#[test]
fn groups_are_changed_within_a_session() {
    test(|bench| {
        let (shell, shell_pid) = bench.child();
        bench.asks(shell, &SetSession {}).unwrap();
        let (a, a_pid) = bench.fork(shell);
        let (b, b_pid) = bench.fork(shell);
        let set = |bench: &mut Bench<'_>, who, pid, group| bench.asks(who, &SetGroup { pid, group }).map(drop);
        set(bench, shell, a_pid, 0).unwrap();
        set(bench, b, 0, a_pid).unwrap();
        let group = |bench: &mut Bench<'_>, who| bench.asks(who, &GetIds {}).unwrap().group;
        assert_eq!((group(bench, a), group(bench, b)), (a_pid, a_pid));
        set(bench, shell, b_pid, shell_pid).unwrap();
        assert_eq!(group(bench, b), shell_pid);
        assert_eq!(set(bench, shell, 0, 0), Err(Errno::Perm), "it leads the session");
        assert_eq!(set(bench, a, b_pid, 0), Err(Errno::Srch), "no child");
        assert_eq!(set(bench, shell, 29_999, 0), Err(Errno::Srch));
        assert_eq!(set(bench, shell, b_pid, 29_999), Err(Errno::Perm), "no such group");
        assert_eq!(set(bench, shell, b_pid, 1), Err(Errno::Perm), "one of another session");
        bench.asks(b, &SetGroup { pid: 0, group: 0 }).unwrap();
        bench.pm.table[crate::Slot::of(a)].flags |= crate::process::Flags::EXECED;
        assert_eq!(set(bench, shell, a_pid, shell_pid), Err(Errno::Access), "it has another program");
    });
}
