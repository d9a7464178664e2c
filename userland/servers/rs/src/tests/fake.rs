//! A kernel that notes what it is asked to do: for boots by the boot table alone, and for signals.

use super::*;
use std::vec::Vec;

/// A call that changed something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Deed {
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
pub(crate) struct Fake {
    pub(crate) programs: Vec<BootPolicy>,
    pub(crate) signaled: Vec<(Endpoint, u64)>,
    pub(crate) deeds: Vec<Deed>,
    /// Calls of this kind fail from now on.
    pub(crate) denies: Option<(Kind, Errno)>,
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
                let root = root.expect("a root").endpoint;
                Ok(Identity { name: [0; 16], endpoint: root, root })
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

/// The same, shared by several clients.
pub(crate) struct Shared(pub(crate) RefCell<Fake>);

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
pub(crate) const READY: Kind = Kind::NOTIFY;

impl Servers for &Shared {
    fn wait_until_ready(&mut self, server: Endpoint) -> Result<(), Errno> {
        let mut fake = self.0.borrow_mut();
        if let Some((_, errno)) = fake.denies.filter(|(kind, _)| *kind == READY) {
            return Err(errno);
        }
        fake.deeds.push(Deed::Waited(server));
        Ok(())
    }

    fn boot_file(&mut self, place: u64) -> Result<&'static [u8], Errno> {
        panic!("file {place} is not kept")
    }

    fn read(&mut self, granter: Endpoint, _: GrantId, _: &mut [u8]) -> Result<(), Errno> {
        panic!("nothing is read of {granter}")
    }

    fn load(&mut self, _: Endpoint, process: Endpoint, _: &Name, _: &[u8], _: &Arguments) -> Result<(), Errno> {
        panic!("nobody starts {process}")
    }

    fn tell(&mut self, message: &Message) -> Result<(), Errno> {
        panic!("nobody is told {message:?}")
    }

    fn answer(&mut self, answer: &Message) {
        panic!("nobody waits for {answer:?}")
    }

    fn notify(&mut self, to: Endpoint) {
        panic!("{to} is not pinged")
    }

    fn show(&mut self, _: usize, _: &ServiceEntry) {}

    fn table_grant(&mut self) -> GrantId {
        GrantId::INVALID
    }

    fn log(&mut self, _: fmt::Arguments<'_>) {}
}

pub(crate) fn program(place: usize, flags: BootFlags) -> BootPolicy {
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
pub(crate) fn fake() -> Fake {
    let flags = [BootFlags::PAGER, BootFlags::ROOT, BootFlags::empty()];
    Fake { programs: (0..).zip(flags).map(|(place, flags)| program(place, flags)).collect(), ..Fake::default() }
}

/// What happens at a boot with this kernel.
pub(crate) fn boot(kernel: Fake) -> (Result<(), BootFailure>, Vec<Deed>) {
    let kernel = Shared(RefCell::new(kernel));
    let result = Root::new(&kernel, &kernel).boot();
    (result, kernel.0.into_inner().deeds)
}

/// The same, but that the memory server loads the plain program.
pub(crate) fn served() -> Fake {
    let flags = [BootFlags::PAGER, BootFlags::ROOT, BootFlags::SERVED];
    Fake { programs: (0..).zip(flags).map(|(place, flags)| program(place, flags)).collect(), ..Fake::default() }
}
