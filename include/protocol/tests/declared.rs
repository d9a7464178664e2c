//! Every declared call reaches the method of its own name, and nothing else does.

use abi::{BODY_WORDS, Endpoint, Errno, Kind, Message};
use protocol::kernel::AbortHow;
use protocol::zerocopy::IntoBytes;
use protocol::{
    ALL, Answer, Caller, Protocol, assist, cdev, ds, echo, encode, file, getinfo, irqctl, kernel, pm, pmfiles, privctl,
    rs, sched, sef, statectl, trace, vm, vmctl,
};

/// Implements every server: notes the name of the method, and answers `EBUSY`.
#[derive(Debug, Default)]
struct Recorder(Vec<String>);

macro_rules! record {
    ($protocol:ident: $($method:ident($Request:ident) -> $Reply:ident),+) => {
        impl $protocol::Server for Recorder {
            $(fn $method(&mut self, _: Caller, _: $protocol::$Request) -> Answer<$protocol::$Reply> {
                self.0.push(concat!(stringify!($protocol), ".", stringify!($method)).into());
                Answer::Fail(Errno::Busy)
            })+
        }
    };
}

record!(kernel: fork(Fork) -> Forked, exec(Exec) -> Executed, clear(Clear) -> Cleared, schedule(Schedule) -> Scheduled,
    kill(Kill) -> Killed, getksig(GetKSig) -> KSig, endksig(EndKSig) -> EndedKSig, sigsend(SigSend) -> SigSent,
    sigreturn(SigReturn) -> SigReturned, memset(MemSet) -> MemorySet, umap(UMap) -> UMapped,
    vircopy(VirCopy) -> VirCopied, physcopy(PhysCopy) -> PhysCopied, safecopyfrom(SafeCopyFrom) -> CopiedFrom,
    safecopyto(SafeCopyTo) -> CopiedTo, vsafecopy(VSafeCopy) -> VCopied, setgrant(SetGrant) -> GrantsSet,
    safemap(SafeMap) -> SafeMapped, saferevmap(SafeRevMap) -> SafeRevMapped, safeunmap(SafeUnmap) -> SafeUnmapped,
    saferevmap_at(SafeRevMapAt) -> SafeRevMappedAt,
    safememset(SafeMemSet) -> SafeMemorySet, devio(DevIo) -> DevIoDone,
    sdevio(SDevIo) -> SDevIoDone, vdevio(VDevIo) -> VDevIoDone, setalarm(SetAlarm) -> AlarmSet, times(Times) -> Uptime,
    boot_entry(GetBootEntry) -> BootProgram, abort(Abort) -> Aborted, whoami(WhoAmI) -> Identity,
    settime(SetTime) -> TimeSet, diag_write(DiagWrite) -> DiagWritten, runctl(RunCtl) -> RunCtlDone,
    update(Update) -> Updated, exit(Exit) -> Exited, schedctl(SchedCtl) -> SchedCtlDone);
record!(privctl: allow(Allow) -> Allowed, disallow(Disallow) -> Disallowed, set_sys(SetSys) -> SysSet,
    set_user(SetUser) -> UserSet, add_io(AddIo) -> IoAdded, add_memory(AddMemory) -> MemoryAdded,
    add_irq(AddIrq) -> IrqAdded, query_memory(QueryMemory) -> MemoryQueried, update_sys(UpdateSys) -> SysUpdated,
    yield_to(YieldTo) -> Yielded, clear_ipc_refs(ClearRefs) -> RefsCleared);
record!(irqctl: set_policy(SetPolicy) -> PolicySet, remove_policy(RemovePolicy) -> PolicyRemoved,
    enable(Enable) -> Enabled, disable(Disable) -> Disabled);
record!(statectl: clear_ipc_refs(ClearRefs) -> RefsCleared, set_state_table(SetStateTable) -> StateTableSet,
    add_blacklist(AddBlacklist) -> BlacklistAdded, add_whitelist(AddWhitelist) -> WhitelistAdded,
    clear_filters(ClearFilters) -> FiltersCleared);
record!(getinfo: boot_policy(GetBootPolicy) -> BootPolicy, process(GetProcess) -> ProcessInfo,
    cpu_time(GetCpuTime) -> CpuTime, privileges(GetPrivileges) -> PrivilegesInfo, machine(GetMachine) -> MachineInfo,
    idle_time(GetIdleTime) -> IdleTime, denial(TakeDenial) -> Denial);
record!(vmctl: create(CreateSpace) -> SpaceCreated, destroy(DestroySpace) -> SpaceDestroyed, map(MapRun) -> RunMapped,
    unmap(UnmapRun) -> RunUnmapped, protect(ProtectRun) -> RunProtected, query(QueryRun) -> RunFound,
    claim(Claim) -> Claimed, give_back(GiveBack) -> GivenBack, donate(Donate) -> Donated, release(Release) -> Released,
    frame_info(GetFrameInfo) -> FrameUse, settle(Settle) -> Settled,
    clear_page_fault(ClearPageFault) -> PageFaultCleared, next_event(NextEvent) -> EventTold,
    answer_request(AnswerRequest) -> RequestAnswered, space_of(GetSpaceOf) -> SpaceOf,
    part(Part) -> Parted, share(Share) -> RunShared, pin(Pin) -> Pinned, unpin(Unpin) -> Unpinned,
    boot_file(GetBootFile) -> BootFile, copy(CopyPage) -> PageCopied,
    supply(SupplyPage) -> PageSupplied, supply_copy(SupplyCopy) -> CopySupplied);
record!(trace: stop(Stop) -> Stopped, resume(Resume) -> Resumed, detach(Detach) -> Detached, step(Step) -> Stepped,
    until_trap(UntilTrap) -> TrapAwaited, peek(Peek) -> Peeked, poke(Poke) -> Poked,
    get_register(GetRegister) -> Register, set_register(SetRegister) -> RegisterSet);
record!(vm: exit(Exit) -> ExitDone, fork(Fork) -> ForkDone, spawn(Spawn) -> SpawnDone, brk(Brk) -> BrkDone, set_break(SetBreak) -> BreakSet, will_exit(WillExit) -> WillExitDone, mmap(Map) -> Mapped, map_physical(MapPhysical) -> PhysicalMapped, unmap_physical(UnmapPhysical) -> PhysicalUnmapped, munmap(Unmap) -> Unmapped, protect(Protect) -> Protected, set_cache(SetCache) -> CacheSet, map_cache(MapCache) -> CacheMapped, forget_cache(ForgetCache) -> CacheForgotten, clear_cache(ClearCache) -> CacheCleared, file_answer(FileAnswer) -> FileAnswered, remap(Remap) -> Remapped, sharers(Sharers) -> SharersCounted, set_calls(SetCalls) -> CallsSet, memory(GetMemory) -> MemoryInfo, update(Update) -> UpdateDone, pin(Pin) -> Pinned, boot_file(TakeBootFile) -> BootFileTaken, clear(Clear) -> ClearDone, set_limits(SetLimits) -> LimitsSet, usage(GetUsage) -> Usage, region(GetRegion) -> RegionInfo, fix(Fix) -> Fixed, unfix(Unfix) -> Unfixed, map_file(MapFile) -> FileMapped, serve_files(ServeFiles) -> FilesServed, bind_device(BindDevice) -> DeviceBound, refusal(TakeRefusal) -> Refusal);
record!(ds: publish(Publish) -> Published, retrieve(Retrieve) -> Retrieved, subscribe(Subscribe) -> Subscribed,
    check(Check) -> Changed, delete(Delete) -> Deleted, snapshot(Snapshot) -> SnapshotTaken,
    retrieve_label(RetrieveLabel) -> LabelRetrieved, info(GetInfo) -> EntryInfo,
    retrieve_snapshot(RetrieveSnapshot) -> SnapshotRetrieved, map(MapRange) -> RangeGranted);
record!(file: look_up(LookUp) -> LookedUp, read_page(ReadPage) -> PageRead, close(Close) -> Closed);
record!(sched: out_of_quantum(OutOfQuantum) -> Acknowledged);
record!(pm: exit(Exit) -> ExitDone, fork(Fork) -> Forked, wait4(Wait4) -> Waited, ids(GetIds) -> Ids, getpgid(GetGroup) -> Group, setpgid(SetGroup) -> GroupSet, setsid(SetSession) -> SessionSet, setuid(SetUid) -> UidSet, setgid(SetGid) -> GidSet, seteuid(SetEffectiveUid) -> EffectiveUidSet, setegid(SetEffectiveGid) -> EffectiveGidSet, setgroups(SetGroups) -> GroupsSet, getgroups(GetGroups) -> Groups, kill(Kill) -> Killed, sigaction(SigAction) -> OldAction, sigprocmask(SigMask) -> OldMask, sigpending(SigPending) -> Pending, sigsuspend(SigSuspend) -> Suspended, sigreturn(SigReturn) -> SigReturned, setitimer(SetTimer) -> OldTimer, getitimer(GetTimer) -> TimerLeft, times(GetTimes) -> ProcessTimes, ptrace(Ptrace) -> Traced, exec(Exec) -> ExecDone, srv_fork(SrvFork) -> SrvForked, srv_exit(SrvExit) -> SrvExited, srv_kill(SrvKill) -> SrvKilled, pid_of(PidOf) -> PidFound, exec_new(ExecNew) -> ExecNewDone, exec_restart(ExecRestart) -> ExecRestarted, process(GetProcessStatus) -> ProcessStatus, files_done(FilesDone) -> FilesDoneNoted, srv_ids(SrvIds) -> SrvIdsSet);
record!(pmfiles: tell(Tell) -> Told);
record!(rs: up(Up) -> UpDone, down(Down) -> DownDone, refresh(Refresh) -> Refreshed, restart(Restart) -> Restarted,
    shutdown(Shutdown) -> ShutdownDone, update(Update) -> UpdateDone, lookup(Lookup) -> Found,
    service(GetService) -> ServiceInfo, edit(Edit) -> Edited, init_info(GetInit) -> InitInfo,
    init_done(InitDone) -> Begun, ready(Ready) -> GoOn);
record!(sef: prepare(Prepare) -> Preparing, signal(Signaled) -> Taken);
record!(cdev: open(Open) -> Opened, close(Close) -> Closed, read(Read) -> ReadDone, write(Write) -> Written,
    ioctl(IoCtl) -> IoCtlDone);
record!(assist: misbehave(Misbehave) -> Misbehaved, count(Count) -> Counted,
    argument(GetArgument) -> Argument, control(Control) -> Controlled);
record!(echo: reverse(Reverse) -> Reversed, count(Count) -> Counted);

/// A protocol and its dispatcher, for the recorder.
type Dispatched = (Protocol, fn(&mut Recorder, &Message) -> Option<Message>);

const DISPATCHED: &[Dispatched] = &[
    (cdev::PROTOCOL, cdev::dispatch),
    (kernel::PROTOCOL, kernel::dispatch),
    (privctl::PROTOCOL, privctl::dispatch),
    (irqctl::PROTOCOL, irqctl::dispatch),
    (statectl::PROTOCOL, statectl::dispatch),
    (getinfo::PROTOCOL, getinfo::dispatch),
    (vmctl::PROTOCOL, vmctl::dispatch),
    (trace::PROTOCOL, trace::dispatch),
    (ds::PROTOCOL, ds::dispatch),
    (sched::PROTOCOL, sched::dispatch),
    (pm::PROTOCOL, pm::dispatch),
    (pmfiles::PROTOCOL, pmfiles::dispatch),
    (vm::PROTOCOL, vm::dispatch),
    (file::PROTOCOL, file::dispatch),
    (sef::PROTOCOL, sef::dispatch),
    (rs::PROTOCOL, rs::dispatch),
    (echo::PROTOCOL, echo::dispatch),
    (assist::PROTOCOL, assist::dispatch),
];

#[test]
fn no_protocol_is_left_out_here() {
    let here: Vec<_> = DISPATCHED.iter().map(|(p, _)| p.name).collect();
    let all: Vec<_> = ALL.iter().map(|p| p.name).collect();
    assert_eq!(here, all);
}

#[test]
fn every_call_reaches_its_method_and_every_other_kind_none() {
    for (protocol, dispatch) in DISPATCHED {
        for kind in 0..=u16::MAX {
            // Zeros are a valid request of every call declared so far.
            let request = Message::new(Endpoint::from_raw(5), Kind(kind));
            let mut recorder = Recorder::default();
            let answer = dispatch(&mut recorder, &request).expect("an answer");
            match protocol.calls.iter().find(|c| protocol.base + c.number == kind) {
                Some(call) => {
                    assert_eq!((recorder.0, answer.kind), (vec![call.name.into()], Kind::failed(Errno::Busy)))
                }
                None => assert_eq!((recorder.0, answer.kind), (vec![], Kind::failed(Errno::NoSys)), "{kind:#x}"),
            }
        }
    }
}

#[test]
fn a_way_to_abort_that_there_is_not_is_refused() {
    let good = encode(Kind(0x600 + 27), &kernel::Abort { how: AbortHow::Leave, status: u32::MAX });
    let mut recorder = Recorder::default();
    kernel::dispatch(&mut recorder, &good);
    assert_eq!(recorder.0, ["kernel.abort"]);
    for how in [3_u32, 0xff, u32::MAX] {
        let mut bad = good;
        bad.body.as_mut_bytes()[..4].copy_from_slice(&how.to_le_bytes());
        let answer = kernel::dispatch(&mut recorder, &bad).expect("an answer");
        assert_eq!(answer.kind, Kind::failed(Errno::Inval));
        assert_eq!(recorder.0.len(), 1, "it reached the kernel: {how:#x}");
    }
}

#[test]
fn all_ones_are_answered_by_every_call() {
    for (protocol, dispatch) in DISPATCHED {
        for call in protocol.calls {
            let kind = Kind(protocol.base + call.number);
            let request = Message { body: [u64::MAX; BODY_WORDS], tag: u16::MAX, ..Message::new(Endpoint::ANY, kind) };
            let answer = dispatch(&mut Recorder::default(), &request).expect("an answer");
            assert_eq!((answer.peer, answer.tag), (request.peer, request.tag), "{}", call.name);
            assert!(matches!(answer.kind.status(), Some(Err(Errno::Busy | Errno::Inval))), "{}", call.name);
        }
    }
}
