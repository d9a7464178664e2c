//! What the file server is told, and what waits for it; and other programs.

use super::fake::{FILES, WITH_FILES, boot};
use super::*;
use crate::signals::*;
use protocol::pmfiles::{Tell, What};
use std::vec::Vec;

const USR1: u32 = 10;

fn with_files(run: impl FnOnce(&mut Bench<'_>) + Send) {
    test_with(WITH_FILES, |bench| {
        let known = bench.told();
        assert_eq!(known.len(), WITH_FILES.len());
        assert!(known.iter().all(|tell| tell.what == What::Known));
        run(bench);
    });
}

impl Bench<'_> {
    /// What the file server has been told since the last time.
    fn told(&mut self) -> Vec<Tell> {
        let told = core::mem::take(&mut self.world.borrow_mut().told);
        told.iter().map(|message| protocol::decode(message).expect("it is one")).collect()
    }

    /// The file server has done what it was told about somebody.
    fn files_done(&mut self, process: Endpoint, error: u32) {
        let request = protocol::encode(FilesDone::KIND, &FilesDone { process, error });
        let mut message = Message { peer: FILES, ..request };
        assert!(!self.pm.answer(&mut message), "it does not wait");
    }

    /// A child that the file server knows.
    fn known_child(&mut self, parent: Endpoint) -> (Endpoint, u32) {
        assert_eq!(self.ask(parent, &Fork {}), None);
        let told = self.told();
        let [tell] = told[..] else { panic!("{told:?}") };
        assert_eq!((tell.what, tell.other), (What::Fork, parent));
        assert_eq!((self.answer_of::<Fork>(parent), self.answer_of::<Fork>(tell.process)), (None, None));
        self.files_done(tell.process, 0);
        let child = self.answer_of::<Fork>(tell.process).map(|answer| answer.map(|forked| forked.pid));
        assert_eq!(child, Some(Ok(0)));
        (tell.process, self.answer_of::<Fork>(parent).unwrap().unwrap().pid)
    }

    fn what(&mut self) -> Vec<(What, Endpoint)> {
        self.told().iter().map(|tell| (tell.what, tell.process)).collect()
    }
}

#[test]
fn a_fork_waits_for_the_file_server_and_fails_with_it() {
    with_files(|bench| {
        let init = boot("init");
        let (child, pid) = bench.known_child(init);
        assert_eq!(bench.pid_of(child), Ok((pid, 1)));
        assert_eq!(bench.ask(init, &Fork {}), None);
        let process = bench.told()[0].process;
        bench.files_done(process, Errno::NoMem as u32);
        assert_eq!(bench.answer_of::<Fork>(init), Some(Err(Errno::NoMem)));
        assert!(!bench.lives(process));
        assert_eq!(bench.poll(init), Ok((0, 0)), "nobody has heard of it");
    });
}

#[test]
fn services_do_not_wait_for_it() {
    with_files(|bench| {
        let made = bench.service();
        assert_eq!(bench.what(), [(What::SrvFork, made.child)]);
        bench.asks(boot("rs"), &SrvExit { process: made.child, reserved: 0 }).unwrap();
        assert_eq!(bench.what(), [(What::Exit, made.child)]);
    });
}

#[test]
fn the_parent_hears_of_an_exit_before_files_are_closed() {
    with_files(|bench| {
        let init = boot("init");
        let (child, pid) = bench.known_child(init);
        bench.exit(child, 5);
        assert_eq!(bench.what(), [(What::Exit, child)]);
        assert!(bench.lives(child), "its files are open");
        let before = bench.len();
        assert_eq!(bench.poll(init), Ok((pid, 5 << 8)));
        assert_eq!((bench.poll(init), bench.len()), (Err(Errno::Child), before));
        bench.files_done(child, 0);
        assert!(!bench.lives(child) && bench.len() == before - 1);
        // The other order.
        let (child, pid) = bench.known_child(init);
        bench.exit(child, 6);
        bench.files_done(child, 0);
        assert_eq!((bench.poll(init), bench.len()), (Ok((pid, 6 << 8)), before - 1));
    });
}

#[test]
fn memory_is_saved_before_anybody_hears() {
    with_files(|bench| {
        let init = boot("init");
        for (error, core) in [(0, status::CORE), (Errno::NoSpc as u32, 0)] {
            bench.told();
            let (child, pid) = bench.known_child(init);
            bench.fault(child, SEGV);
            let told = bench.told();
            assert_eq!((told[0].what, told[0].process, told[0].words[0]), (What::DumpCore, child, SEGV.into()));
            assert_eq!(bench.poll(init), Ok((0, 0)));
            bench.files_done(child, error);
            assert_eq!(bench.poll(init), Ok((pid, SEGV | core)));
        }
        // Not of one with another's rights, and not for every signal.
        let (child, pid) = bench.known_child(init);
        let ids = &mut bench.pm.table[crate::Slot::of(child)].ids.user;
        ids.effective = 5;
        bench.fault(child, SEGV);
        assert_eq!(bench.what(), [(What::Exit, child)]);
        assert_eq!(bench.poll(init), Ok((pid, SEGV)));
        bench.files_done(child, 0);
        let (child, pid) = bench.known_child(init);
        bench.kill(init, pid as i32, TERM).unwrap();
        assert_eq!(bench.what(), [(What::Exit, child)]);
        bench.files_done(child, 0);
    });
}

#[test]
fn ids_are_answered_when_it_knows_them() {
    with_files(|bench| {
        let init = boot("init");
        let (child, pid) = bench.known_child(init);
        assert_eq!(bench.ask(child, &SetGid { gid: 8, reserved: 0 }), None);
        assert_eq!(bench.told()[0].words[..2], [8, 8]);
        bench.files_done(child, 0);
        assert_eq!(bench.answer_of::<SetGid>(child), Some(Ok(GidSet {})));
        assert_eq!(bench.ask(child, &SetGroups { count: 0, groups: [0; 12] }), None);
        bench.files_done(child, 0);
        assert_eq!(bench.answer_of::<SetGroups>(child), Some(Ok(GroupsSet {})));
        assert_eq!(bench.ask(child, &SetSession {}), None);
        bench.files_done(child, 0);
        assert_eq!(bench.answer_of::<SetSession>(child), Some(Ok(SessionSet { pid, reserved: 0 })));
        assert_eq!(bench.what().len(), 2);
        assert_eq!(bench.asks(child, &SetEffectiveUid { uid: u32::MAX, reserved: 0 }), Err(Errno::Inval));
        assert!(bench.told().is_empty(), "what fails is not told");
    });
}

#[test]
fn a_handler_waits_until_it_has_ended_the_call() {
    with_files(|bench| {
        let init = boot("init");
        let (child, pid) = bench.known_child(init);
        bench.catch(child, USR1);
        bench.world.borrow_mut().get(child).unwrap().elsewhere = true;
        bench.kill(init, pid as i32, USR1).unwrap();
        bench.kill(init, pid as i32, USR1).unwrap();
        assert_eq!(bench.what(), [(What::Unpause, child)], "once");
        assert_eq!(bench.called(child, USR1), 0);
        bench.world.borrow_mut().get(child).unwrap().elsewhere = false;
        bench.files_done(child, 0);
        assert_eq!((bench.called(child, USR1), bench.runs(child)), (1, true));
        // Who waits here is known to wait here.
        bench.returns(child);
        assert_eq!(bench.ask(child, &SigSuspend { set: 0 }), None);
        bench.kill(init, pid as i32, USR1).unwrap();
        assert_eq!((bench.called(child, USR1), bench.told().len()), (2, 0));
    });
}

#[test]
fn signals_wait_for_its_answer_and_none_is_lost() {
    with_files(|bench| {
        let init = boot("init");
        let (child, pid) = bench.known_child(init);
        bench.catch(child, USR1);
        assert_eq!(bench.ask(child, &SetUid { uid: 5, reserved: 0 }), None);
        bench.told();
        bench.kill(init, pid as i32, USR1).unwrap();
        assert_eq!((bench.called(child, USR1), bench.told().len()), (0, 0), "one thing at a time");
        bench.files_done(child, 0);
        assert_eq!(bench.answer_of::<SetUid>(child), Some(Ok(UidSet {})));
        // It may be there that it waits, as far as one knows.
        bench.files_done(child, 0);
        assert_eq!((bench.called(child, USR1), bench.runs(child)), (1, true));
        assert_eq!(bench.ask(child, &SetUid { uid: 5, reserved: 0 }), None);
        bench.told();
        bench.kill(init, pid as i32, KILL).unwrap();
        assert!(bench.told().is_empty() && bench.lives(child));
        bench.files_done(child, 0);
        assert_eq!(bench.what(), [(What::Exit, child)]);
        assert_eq!(bench.poll(init), Ok((pid, KILL)));
        bench.files_done(child, 0);
        assert!(!bench.lives(child));
    });
}

#[test]
fn answers_that_nobody_waits_for_are_dropped() {
    with_files(|bench| {
        let init = boot("init");
        let (child, _) = bench.known_child(init);
        bench.files_done(child, 0);
        bench.files_done(Endpoint::NONE, 0);
        assert!(bench.runs(child));
        let denied = bench.asks(boot("hello"), &FilesDone { process: child, error: 0 });
        assert_eq!(denied, Err(Errno::Perm));
    });
}

fn name(text: &str) -> [u8; 16] {
    abi::boot::BootEntry::encode_name(text).unwrap()
}

#[test]
fn an_exec_that_fails_before_is_an_error_and_after_the_end() {
    with_files(|bench| {
        let init = boot("init");
        let (child, pid) = bench.known_child(init);
        let exec = Exec { path: 1, path_len: 2, frame: 3, frame_len: 4 };
        assert_eq!(bench.ask(child, &exec), None);
        let tell = bench.told()[0];
        assert_eq!((tell.what, tell.words), (What::Exec, [1, 2, 3, 4]));
        let fails = |error| ExecRestart { process: child, error, entry: 0, stack: 0 };
        bench.asks(FILES, &fails(Errno::NoExec as u32)).unwrap();
        assert_eq!(bench.answer_of::<Exec>(child), Some(Err(Errno::NoExec)));
        assert_eq!(bench.asks(FILES, &fails(0)), Err(Errno::Inval), "it is in no exec");
        assert_eq!(bench.ask(child, &exec), None);
        let new = ExecNew { process: child, flags: 0, uid: 0, gid: 0, name: name("new") };
        bench.asks(FILES, &new).unwrap();
        bench.told();
        bench.asks(FILES, &fails(Errno::Io as u32)).unwrap();
        assert_eq!((bench.answer_of::<Exec>(child), bench.what()), (None, std::vec![(What::Exit, child)]));
        assert_eq!(bench.poll(init), Ok((pid, KILL)));
        bench.files_done(child, 0);
    });
}

#[test]
fn a_new_program_has_no_handlers_but_ignores_what_the_old_one_did() {
    with_files(|bench| {
        let init = boot("init");
        let (child, pid) = bench.known_child(init);
        bench.catch(child, USR1);
        bench.acts(child, TERM, IGNORE, 0, ActionFlags::empty()).unwrap();
        bench.asks(child, &SigMask { how: How::Set, reserved: 0, set: 1 << HUP }).unwrap();
        assert_eq!(bench.ask(child, &Exec { path: 1, path_len: 2, frame: 3, frame_len: 4 }), None);
        let new = ExecNew { process: child, flags: 0, uid: 0, gid: 0, name: name("new") };
        assert_eq!(bench.asks(FILES, &new), Ok(ExecNewDone { set_id: 0, reserved: 0 }));
        let starts = ExecRestart { process: child, error: 0, entry: HANDLER, stack: HANDLER };
        bench.asks(FILES, &starts).unwrap();
        assert_eq!(bench.world.borrow().find(child).unwrap().programs, [HANDLER]);
        assert!(bench.runs(child));
        let listed = bench.asks(init, &GetProcessStatus { slot: child.slot() as u32, reserved: 0 }).unwrap();
        assert_eq!((listed.pid, listed.name), (pid, name("new")));
        assert_eq!(bench.asks(child, &SigMask { how: How::Query, reserved: 0, set: 0 }).unwrap().set, 1 << HUP);
        bench.kill(init, pid as i32, TERM).unwrap();
        assert!(bench.runs(child));
        bench.kill(init, pid as i32, USR1).unwrap();
        assert_eq!(bench.poll(init), Ok((pid, USR1)));
        bench.files_done(child, 0);
    });
}

#[test]
fn without_a_file_server_there_are_no_files_and_only_loaders_load() {
    test(|bench| {
        let init = boot("init");
        let exec = Exec { path: 1, path_len: 2, frame: 3, frame_len: 4 };
        assert_eq!(bench.asks(init, &exec), Err(Errno::NoSys));
        let (child, _) = bench.child();
        let new = ExecNew { process: child, flags: 0, uid: 0, gid: 0, name: name("new") };
        for who in [init, boot("hello"), child] {
            assert_eq!(bench.asks(who, &new), Err(Errno::Perm));
            let restart = ExecRestart { process: child, error: 0, entry: 0, stack: 0 };
            assert_eq!(bench.asks(who, &restart), Err(Errno::Perm));
        }
        for bad in [
            ExecNew { flags: 4, ..new },
            ExecNew { uid: u32::MAX, ..new },
            ExecNew { gid: u32::MAX, ..new },
            ExecNew { name: [0; 16], ..new },
        ] {
            assert_eq!(bench.asks(boot("rs"), &bad), Err(Errno::Inval));
        }
        assert_eq!(bench.asks(boot("rs"), &ExecNew { process: Endpoint::NONE, ..new }), Err(Errno::Srch));
    });
}
