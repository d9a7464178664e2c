//! A service that does wrong on request, or from the beginning.

use abi::{Endpoint, Errno, Message, Signal};
use protocol::assist::{
    Argument, Control, Controlled, Count, Counted, Deed, GetArgument, Misbehave, Misbehaved, Server, Wish,
};
use protocol::irqctl::SetPolicy;
use protocol::kernel::{DevIo, PortAccess};
use protocol::rs::{Down, Edit, GetInit, Init, Refresh, Restart, Shutdown, Up, Update};
use protocol::vm::{Map, MapFlags, Pin};
use protocol::vmctl::Access;
use protocol::{Answer, Call, Caller};
use sef::{Begin, Old, Prepared, Service};
use sys::Ipc;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// How it begins, except at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// As it should.
    Well,
    /// It crashes.
    Crash,
    /// It says that it cannot.
    Fail,
    /// It never gets there.
    Hang,
}

/// The service.
#[derive(Debug)]
pub struct Assist {
    beginning: Beginning,
    how: u32,
    counts: Counts,
    signals: u32,
    is_silent: bool,
    ignores_term: bool,
    refuses: bool,
    cannot_save: bool,
}

/// Callers whose calls are counted.
const CALLERS: usize = 255;

/// What the next version gets: 4 KiB.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Counts {
    calls: u64,
    /// The first callers, by their endpoints, and how often each has called.
    callers: [[u64; 2]; CALLERS],
    reserved: u64,
}

impl Counts {
    /// Counts a call. How often this caller has called.
    fn count(&mut self, caller: Endpoint) -> u64 {
        self.calls += 1;
        let me = u64::from(caller.raw());
        let entry = self.callers.iter_mut().find(|[who, times]| *who == me || *times == 0);
        entry.map_or(0, |entry| {
            *entry = [me, entry[1] + 1];
            entry[1]
        })
    }
}

impl Assist {
    /// One that has not begun.
    #[must_use]
    pub const fn new(beginning: Beginning) -> Self {
        Self {
            beginning,
            how: 0,
            counts: Counts { calls: 0, callers: [[0; 2]; CALLERS], reserved: 0 },
            signals: 0,
            is_silent: false,
            ignores_term: false,
            refuses: false,
            cannot_save: false,
        }
    }

    fn start(&mut self, how: Init) -> Result<(), Errno> {
        self.how = how as u32;
        match self.beginning {
            Beginning::Well => Ok(()),
            Beginning::Crash => panic!("told to crash while it begins"),
            Beginning::Fail => Err(Errno::Io),
            Beginning::Hang => wait(),
        }
    }

    fn misdo(&mut self, call: &Misbehave) -> Result<(), Errno> {
        let Misbehave { deed, target, count } = *call;
        match deed {
            Deed::WriteToNull => write_to_null(),
            Deed::Panic => panic!("told to"),
            Deed::Exit => sys::exit(0),
            Deed::Loop => loop {
                core::hint::spin_loop();
            },
            Deed::Wait => wait(),
            Deed::IgnorePings => self.is_silent = true,
            Deed::IgnoreTerm => self.ignores_term = true,
            Deed::RefuseUpdate => self.refuses = true,
            Deed::FailToSave => self.cannot_save = true,
            Deed::Flood => (0..count).try_for_each(|_| rt::notify(target))?,
            Deed::Leak => leak(count)?,
            Deed::Send => ask(target, &GetInit {}).map(drop)?,
            Deed::Port => {
                sys::kernel().devio(DevIo { access: PortAccess::Read8, port: 0x3f8, value: 0 })?;
            }
            Deed::Kernel => {
                sys::kernel().kill(protocol::kernel::Kill { process: target, signal: Signal::KILL.number() })?;
            }
            Deed::Memory => {
                ask(target, &Pin { process: Endpoint::SELF, reserved: 0 })?;
            }
            Deed::Interrupt => {
                sys::irqctl().set_policy(SetPolicy { line: 1, bit: 0, reenable: 0 })?;
            }
        }
        Ok(())
    }
}

/// Waits for nobody, for ever.
fn wait() -> ! {
    loop {
        // Only itself could wake it.
        let _ = rt::receive(Endpoint::HARDWARE);
    }
}

fn write_to_null() {
    // SAFETY: nothing is there; the kernel stops the program.
    unsafe { core::ptr::null_mut::<u64>().write_volatile(1) };
}

fn ask<C: Call>(to: Endpoint, call: &C) -> Result<C::Reply, Errno> {
    protocol::call(&mut Ipc::default(), to, call)
}

/// Asks the root system process for something.
fn control(call: &Control) -> Result<(), Errno> {
    let Control { wish, label, program, .. } = *call;
    let root = sys::whoami()?.root;
    let arguments = abi::grant::GrantId::INVALID;
    match wish {
        Wish::Up => ask(root, &Up { program, label, arguments, len: 0 }).map(drop),
        Wish::Down => ask(root, &Down { label }).map(drop),
        Wish::Refresh => ask(root, &Refresh { label }).map(drop),
        Wish::Restart => ask(root, &Restart { label }).map(drop),
        Wish::Update => ask(root, &Update { label, program, state: sef::state::WORK_FREE, patience: 0 }).map(drop),
        Wish::Edit => ask(root, &Edit { label, heartbeat: 0 }).map(drop),
        Wish::Shutdown => ask(root, &Shutdown {}).map(drop),
    }
}

/// Maps memory at once and forgets it.
fn leak(pages: u64) -> Result<(), Errno> {
    let server = sef::lookup("vm")?;
    let flags = (MapFlags::ANONYMOUS | MapFlags::PREALLOCATED).bits();
    let len = pages * abi::layout::PAGE_SIZE;
    let call = Map { address: 0, len, offset: 0, flags, access: Access::Write, fd: -1, process: Endpoint::SELF };
    ask(server, &call).map(drop)
}

impl Service for Assist {
    fn begin(&mut self, _: &Begin) -> Result<(), Errno> {
        self.start(Init::Fresh)
    }

    fn begin_again(&mut self, _: &Begin) -> Result<(), Errno> {
        self.start(Init::Restart)
    }

    fn take_over(&mut self, begin: &Begin) -> Result<(), Errno> {
        self.start(Init::LiveUpdate)?;
        let Old { state, len } = begin.old.ok_or(Errno::NoEnt)?;
        if len != size_of::<Counts>() as u64 {
            return Err(Errno::Inval);
        }
        state.copy_from(0, self.counts.as_mut_bytes())?;
        Ok(())
    }

    fn accepts(&self, state: u32) -> Result<(), Errno> {
        match state {
            sef::state::WORK_FREE | sef::state::REQUEST_FREE => Ok(()),
            _ => Err(Errno::Inval),
        }
    }

    fn prepare(&mut self, _: u32) -> Prepared {
        if self.refuses { Prepared::Never(Errno::Busy) } else { Prepared::Ready }
    }

    fn save(&mut self) -> Result<&[u8], Errno> {
        if self.cannot_save {
            return Err(Errno::Io);
        }
        Ok(self.counts.as_bytes())
    }

    fn answer(&mut self, request: &mut Message) -> bool {
        protocol::assist::answer(self, request)
    }

    fn signal(&mut self, signal: Signal) {
        const TERM: u32 = 15;
        self.signals |= 1 << signal.number();
        if signal.number() == TERM && !self.ignores_term {
            sys::exit(0);
        }
    }

    fn is_well(&mut self) -> bool {
        !self.is_silent
    }
}

impl Server for Assist {
    fn misbehave(&mut self, _: Caller, call: Misbehave) -> Answer<Misbehaved> {
        let error = self.misdo(&call).err().map_or(0, |errno| errno as u32);
        Answer::Reply(Misbehaved { error, reserved: 0 })
    }

    fn count(&mut self, from: Caller, _: Count) -> Answer<Counted> {
        let yours = self.counts.count(from.endpoint);
        Answer::Reply(Counted { calls: self.counts.calls, how: self.how, signals: self.signals, yours })
    }

    fn argument(&mut self, _: Caller, call: GetArgument) -> Answer<Argument> {
        let mut argument = Argument { len: 0, text: [0; 48] };
        let Some(word) = sys::arguments().nth(call.number as usize) else {
            return Answer::Fail(Errno::NoEnt);
        };
        let Some(text) = argument.text.get_mut(..word.len()) else {
            return Answer::Fail(Errno::TooBig);
        };
        text.copy_from_slice(word);
        argument.len = word.len() as u64;
        Answer::Reply(argument)
    }

    fn control(&mut self, _: Caller, call: Control) -> Answer<Controlled> {
        let error = control(&call).err().map_or(0, |errno| errno as u32);
        Answer::Reply(Controlled { error, reserved: 0 })
    }
}
