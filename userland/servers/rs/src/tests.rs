extern crate std;
use super::*;
use abi::{Kind, TrapMask};
use core::cell::RefCell;
use protocol::Call;
use protocol::kernel::{Cleared, EndedKSig, Identity, KSig};
use protocol::privctl::{Allowed, SysSet, SysUpdated};
use protocol::vm::{CallsSet, ExitDone, WillExitDone};
use std::string::ToString;
use std::vec::Vec;

/// A call that changed something.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Set { process: Endpoint, id: u32, spec: PrivilegeSpec },
    Updated { process: Endpoint, spec: PrivilegeSpec },
    Allowed(Endpoint),
    Cleared(Endpoint),
    Continued(Endpoint),
    Waited(Endpoint),
    MayAsk { process: Endpoint, calls: u64 },
    WillExit(Endpoint),
    Exited(Endpoint),
}

/// A kernel that notes what it is asked to do.
#[derive(Default)]
struct Fake {
    programs: Vec<BootPolicy>,
    signaled: Vec<(Endpoint, u64)>,
    deeds: Vec<Deed>,
    /// Calls of this kind fail from now on.
    denies: Option<(Kind, Errno)>,
}

impl Fake {
    fn answer(&mut self, m: &Message) -> Message {
        if let Some((_, errno)) = self.denies.filter(|(kind, _)| *kind == m.kind) {
            return protocol::reply::<u64>(m, Err(errno));
        }
        let deeds = &mut self.deeds;
        match m.kind {
            WhoAmI::KIND => serve(m, |_: WhoAmI| {
                let root = self.programs.iter().find(|p| p.flags & BootFlags::ROOT.bits() != 0);
                Ok(Identity { name: [0; 16], endpoint: root.expect("a root").endpoint, reserved: 0 })
            }),
            GetBootPolicy::KIND => {
                serve(m, |call: GetBootPolicy| self.programs.get(call.index as usize).copied().ok_or(Errno::Dom))
            }
            SetSys::KIND => serve(m, |SetSys { process, id, spec }| {
                deeds.push(Deed::Set { process, id, spec });
                Ok(SysSet { id })
            }),
            UpdateSys::KIND => serve(m, |UpdateSys { process, spec, reset_ranges }| {
                assert_eq!(reset_ranges, 0);
                deeds.push(Deed::Updated { process, spec });
                Ok(SysUpdated {})
            }),
            Allow::KIND => serve(m, |call: Allow| {
                deeds.push(Deed::Allowed(call.process));
                Ok(Allowed {})
            }),
            GetKSig::KIND => serve(m, |_: GetKSig| {
                let first = (!self.signaled.is_empty()).then(|| self.signaled.remove(0));
                let (process, signals) = first.unwrap_or((Endpoint::NONE, 0));
                Ok(KSig { process, reserved: 0, signals })
            }),
            Clear::KIND => serve(m, |call: Clear| {
                deeds.push(Deed::Cleared(call.process));
                Ok(Cleared {})
            }),
            EndKSig::KIND => serve(m, |call: EndKSig| {
                deeds.push(Deed::Continued(call.process));
                Ok(EndedKSig {})
            }),
            SetCalls::KIND => serve(m, |SetCalls { process, is_user, calls }| {
                assert_eq!(is_user, 0);
                deeds.push(Deed::MayAsk { process, calls });
                Ok(CallsSet {})
            }),
            WillExit::KIND => serve(m, |call: WillExit| {
                deeds.push(Deed::WillExit(call.process));
                Ok(WillExitDone {})
            }),
            Exit::KIND => serve(m, |call: Exit| {
                deeds.push(Deed::Exited(call.process));
                Ok(ExitDone {})
            }),
            other => panic!("the root system process has no use for {other:?}"),
        }
    }
}

/// Answers a call with what `act` makes of it.
fn serve<C: Call>(request: &Message, act: impl FnOnce(C) -> Result<C::Reply, Errno>) -> Message {
    let result = protocol::decode::<C>(request).and_then(act);
    protocol::reply(request, result.as_ref().map_err(|errno| *errno))
}

/// The same, shared by several clients.
struct Shared(RefCell<Fake>);

impl Transport for &Shared {
    fn sendrec(&mut self, to: Endpoint, message: &mut Message) -> Result<(), Errno> {
        let is_of_memory = [SetCalls::KIND, WillExit::KIND, Exit::KIND].contains(&message.kind);
        let server = if is_of_memory { endpoint(0) } else { Endpoint::SYSTEM };
        assert_eq!(to, server);
        *message = self.0.borrow_mut().answer(message);
        Ok(())
    }
}

/// Stands for a notification in [`Fake::denies`].
const READY: Kind = Kind::NOTIFY;

impl Servers for &Shared {
    fn wait_until_ready(&mut self, server: Endpoint) -> Result<(), Errno> {
        let mut fake = self.0.borrow_mut();
        if let Some((_, errno)) = fake.denies.filter(|(kind, _)| *kind == READY) {
            return Err(errno);
        }
        fake.deeds.push(Deed::Waited(server));
        Ok(())
    }
}

fn endpoint(slot: usize) -> Endpoint {
    Endpoint::new(slot, 0).expect("a slot")
}

fn program(place: usize, flags: BootFlags) -> BootPolicy {
    BootPolicy {
        sends: 1 << place | 0b10,
        calls: 1 << place,
        traps: TrapMask::SENDREC.bits(),
        priority: 7,
        flags: flags.bits(),
        cpu: 0,
        endpoint: endpoint(place),
        memory: 1 << place,
    }
}

/// A boot table: a memory server, the root system process in the middle, and a plain program.
fn fake() -> Fake {
    let flags = [BootFlags::PAGER, BootFlags::ROOT, BootFlags::empty()];
    Fake { programs: (0..).zip(flags).map(|(place, flags)| program(place, flags)).collect(), ..Fake::default() }
}

/// What happens at a boot with this kernel.
fn boot(kernel: Fake) -> (Result<(), BootFailure>, Vec<Deed>) {
    let kernel = Shared(RefCell::new(kernel));
    let result = Root::new(&kernel, &kernel).boot();
    (result, kernel.0.into_inner().deeds)
}

#[test]
fn everybody_has_privileges_before_anybody_runs() {
    let (result, deeds) = boot(fake());
    assert_eq!(result, Ok(()));
    let (first, last) = (endpoint(0), endpoint(2));
    let kinds: Vec<_> = deeds
        .iter()
        .map(|deed| match *deed {
            Deed::Set { process, .. } => ("set", process),
            Deed::Updated { process, .. } => ("update", process),
            Deed::Allowed(process) => ("allow", process),
            other => panic!("{other:?}"),
        })
        .collect();
    let twice = |what| [(what, first), (what, last)];
    assert_eq!(kinds, [twice("set"), twice("update"), twice("allow")].concat());
}

/// The same, but that the memory server loads the plain program.
fn served() -> Fake {
    let flags = [BootFlags::PAGER, BootFlags::ROOT, BootFlags::SERVED];
    Fake { programs: (0..).zip(flags).map(|(place, flags)| program(place, flags)).collect(), ..Fake::default() }
}

#[test]
fn where_the_memory_server_loads_it_runs_first() {
    let (result, deeds) = boot(served());
    assert_eq!(result, Ok(()));
    let (vm, late) = (endpoint(0), endpoint(2));
    let expected =
        [Deed::Allowed(vm), Deed::Waited(vm), Deed::MayAsk { process: late, calls: 1 << 2 }, Deed::Allowed(late)];
    assert_eq!(deeds[4..], expected);
}

#[test]
fn the_memory_of_whoever_has_ended_goes_back() {
    let (vm, late) = (endpoint(0), endpoint(2));
    let dies = |process, denies| {
        let kernel = Shared(RefCell::new(Fake { denies, ..served() }));
        let mut root = Root::new(&kernel, &kernel);
        root.boot().expect("a boot");
        kernel.0.borrow_mut().deeds.clear();
        let signaled = Some((process, Signal::KILL.bit()));
        assert_eq!(root.notified(&SystemEvent { signals: 0, signaled, memory: None }), Ok(()));
        kernel.0.into_inner().deeds
    };
    assert_eq!(dies(late, None), [Deed::Cleared(late), Deed::WillExit(late), Deed::Exited(late)]);
    // The memory server cannot be asked about itself, and need not know everybody.
    assert_eq!(dies(vm, None), [Deed::Cleared(vm)]);
    assert_eq!(dies(late, Some((WillExit::KIND, Errno::Srch))), [Deed::Cleared(late)]);
}

#[test]
fn without_its_memory_server_nobody_runs() {
    for (kind, step, place, most, text) in [
        (Allow::KIND, Step::Allow, 0, 4, "start program 0"),
        (READY, Step::Ready, 0, 5, "wait for program 0"),
        (SetCalls::KIND, Step::Memory, 2, 6, "set the memory calls of program 2"),
    ] {
        let (result, deeds) = boot(Fake { denies: Some((kind, Errno::DeadSrcDst)), ..served() });
        let failure = BootFailure { step, place, error: Errno::DeadSrcDst };
        assert_eq!((result, deeds.len()), (Err(failure), most));
        assert!(failure.to_string().contains(text), "{failure}");
    }
}

#[test]
fn only_who_the_table_names_grants_memory_of_others() {
    let flags = [BootFlags::PAGER, BootFlags::ROOT, BootFlags::GRANTS_FOR_OTHERS, BootFlags::empty()];
    let programs = (0..).zip(flags).map(|(place, flags)| program(place, flags)).collect();
    let (result, deeds) = boot(Fake { programs, ..Fake::default() });
    assert_eq!(result, Ok(()));
    let (pager, plain) = (PrivilegeFlags::PAGER, PrivilegeFlags::PREEMPTIBLE);
    let given = [(0, pager), (2, plain | PrivilegeFlags::GRANTS_FOR_OTHERS), (3, plain)];
    let expected = given.map(|(place, flags)| (endpoint(place), flags.bits()));
    let set = deeds.iter().filter_map(|deed| match *deed {
        Deed::Set { process, spec, .. } => Some((process, spec.flags)),
        _ => None,
    });
    let updated = deeds.iter().filter_map(|deed| match *deed {
        Deed::Updated { process, spec } => Some((process, spec.flags)),
        _ => None,
    });
    assert!(set.eq(expected) && updated.eq(expected), "{deeds:?}");
}

#[test]
fn privileges_are_those_of_the_table() {
    let (_, deeds) = boot(fake());
    let Deed::Set { id, spec, .. } = deeds[1] else { panic!("{deeds:?}") };
    assert_eq!(PrivilegeId::new(id), PrivilegeId::of_boot_program(2));
    let sends = [1, 2].map(|place| PrivilegeId::of_boot_program(place).expect("an id").bit());
    let plain = PrivilegeSpec {
        sends: sends[0] | sends[1],
        calls: 1 << 2,
        flags: PrivilegeFlags::PREEMPTIBLE.bits(),
        init_flags: 0,
        traps: TrapMask::SENDREC.bits(),
        manager: endpoint(1),
        backup: Endpoint::NONE,
        reserved: 0,
    };
    assert_eq!(spec, plain);
    assert_eq!(deeds[3], Deed::Updated { process: endpoint(2), spec: plain });
}

#[test]
fn the_memory_server_is_not_preempted() {
    let (_, deeds) = boot(fake());
    let Deed::Set { spec, .. } = deeds[0] else { panic!("{deeds:?}") };
    assert_eq!(PrivilegeFlags::from_bits(spec.flags), Some(PrivilegeFlags::PAGER));
}

#[test]
fn the_root_may_boot_alone() {
    let alone = Fake { programs: std::vec![program(0, BootFlags::ROOT)], ..Fake::default() };
    assert_eq!(boot(alone), (Ok(()), std::vec![]));
}

#[test]
fn a_call_that_fails_ends_the_boot_and_is_told() {
    for (kind, step, place, deeds_before, text) in [
        (WhoAmI::KIND, Step::Identify, 0, 0, "its own endpoint"),
        (GetBootPolicy::KIND, Step::Read, 0, 0, "read the policy of program 0"),
        (SetSys::KIND, Step::Give, 0, 0, "give privileges to program 0"),
        (UpdateSys::KIND, Step::Connect, 0, 2, "set the targets of program 0"),
        (Allow::KIND, Step::Allow, 0, 4, "start program 0"),
    ] {
        let (result, deeds) = boot(Fake { denies: Some((kind, Errno::CallDenied)), ..fake() });
        let failure = BootFailure { step, place, error: Errno::CallDenied };
        assert_eq!((result, deeds.len()), (Err(failure), deeds_before), "{step:?}");
        let told = failure.to_string();
        assert!(told.contains(text) && told.contains("ECALLDENIED"), "{told}");
    }
}

#[test]
fn more_programs_than_there_are_ids_are_refused() {
    let max = abi::boot::MAX_PROGRAMS;
    let mut programs: Vec<_> = (0..max).map(|place| program(place, BootFlags::empty())).collect();
    programs[0].flags = BootFlags::ROOT.bits();
    assert!(boot(Fake { programs: programs.clone(), ..Fake::default() }).0.is_ok());
    programs.push(BootPolicy { endpoint: endpoint(max), ..programs[1] });
    let (result, _) = boot(Fake { programs, ..Fake::default() });
    assert_eq!(result, Err(BootFailure { step: Step::Give, place: max as u64, error: Errno::Dom }));
}

/// What is done about a notification, with more processes waiting for their turn.
fn told(signaled: Option<(Endpoint, u64)>, more: &[(Endpoint, u64)], denies: Option<(Kind, Errno)>) -> Handled {
    let kernel = Shared(RefCell::new(Fake { signaled: more.to_vec(), denies, ..Fake::default() }));
    let result = Root::new(&kernel, &kernel).notified(&SystemEvent { signals: 0, signaled, memory: None });
    (result, kernel.0.into_inner().deeds)
}

type Handled = (Result<(), Errno>, Vec<Deed>);

#[test]
fn signals_that_end_a_process_clear_it() {
    let (p, q) = (endpoint(4), endpoint(5));
    for signal in [Signal::ILL, Signal::TRAP, Signal::ABRT, Signal::BUS, Signal::FPE, Signal::KILL, Signal::SEGV] {
        assert_eq!(told(Some((p, signal.bit() | 1 << 10)), &[], None), (Ok(()), std::vec![Deed::Cleared(p)]));
    }
    for signal in (1..=Signal::LAST_USER).filter(|n| ![4, 5, 6, 7, 8, 9, 11].contains(n)) {
        assert_eq!(told(Some((p, 1 << signal)), &[], None), (Ok(()), std::vec![Deed::Continued(p)]), "{signal}");
    }
    assert_eq!(told(Some((q, Signal::SEND_DONE.bit())), &[], None).1, [Deed::Continued(q)]);
}

#[test]
fn all_who_have_signals_get_their_turn() {
    let (kill, hup) = (Signal::KILL.bit(), 1 << 1);
    let more = [(endpoint(7), hup), (endpoint(6), kill)];
    let all = [Deed::Cleared(endpoint(8)), Deed::Continued(endpoint(7)), Deed::Cleared(endpoint(6))];
    assert_eq!(told(Some((endpoint(8), kill)), &more, None), (Ok(()), all.to_vec()));
    assert_eq!(told(None, &more, None).1, all[1..]);
    assert_eq!(told(None, &[], None), (Ok(()), std::vec![]));
}

#[test]
fn a_process_that_is_gone_is_no_error_and_a_denied_call_is() {
    let (p, kill) = (endpoint(4), Signal::KILL.bit());
    let more = [(endpoint(5), 1 << 1)];
    let gone = told(Some((p, kill)), &more, Some((Clear::KIND, Errno::Inval)));
    assert_eq!(gone, (Ok(()), std::vec![Deed::Continued(endpoint(5))]));
    for kind in [Clear::KIND, GetKSig::KIND] {
        assert_eq!(told(Some((p, kill)), &more, Some((kind, Errno::CallDenied))).0, Err(Errno::CallDenied));
    }
}

#[test]
fn a_process_that_has_got_another_manager_is_no_error() {
    let more = [(endpoint(6), Signal::KILL.bit())];
    let (result, deeds) = told(Some((endpoint(5), 1 << 1)), &more, Some((EndKSig::KIND, Errno::Perm)));
    assert_eq!((result, &deeds[..]), (Ok(()), &[Deed::Cleared(endpoint(6))][..]));
}

#[test]
fn requests_are_refused() {
    let mut request = Message::new(endpoint(3), Kind(0x7001));
    request.tag = 77;
    let answer = refuse(&request);
    assert_eq!((answer.peer, answer.tag, answer.kind), (endpoint(3), 77, Kind::failed(Errno::NoSys)));
}
