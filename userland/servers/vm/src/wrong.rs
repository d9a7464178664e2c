//! A memory server that is wrong on purpose: some of its kernel requests are not what it meant. It leaves alone the programs of the boot
//! table and itself, or nobody would be left to ask it for anything.
#![no_std]
#![no_main]

mod corrupt;
mod program;

use abi::{Endpoint, Errno, Message};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use corrupt::Corruptor;
use protocol::kernel::{Clear, Exec, Fork, Kill, PhysCopy, Update, VirCopy};
use protocol::vmctl::*;
use protocol::{Call, Transport, decode};
use rt::Others;

sys::entry!(program::main);

/// Its books do not fit the kernel's tables for long.
const CHECKS: bool = false;

/// One request in so many is spoilt.
const ONE_IN: u64 = 4;
/// Tells how many each time there are so many more.
const TOLD_EVERY: u64 = 100;
/// The slots below are those of boot programs.
const FIRST_SLOT: usize = 16;
const SPACES: usize = 16;

static CORRUPTOR: Corruptor = Corruptor::new(1);
/// Somebody has forked: all programs of the boot table are loaded.
static BEGUN: AtomicBool = AtomicBool::new(false);
/// The spaces that were there before.
static SPARED: [AtomicU64; SPACES] = [const { AtomicU64::new(0) }; SPACES];

/// Carries the server's kernel calls, some of them spoilt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls(Others);

impl From<Others> for Calls {
    fn from(calls: Others) -> Self {
        spare(calls.own_space());
        Self(calls)
    }
}

impl Transport for Calls {
    fn sendrec(&mut self, to: Endpoint, message: &mut Message) -> Result<(), Errno> {
        if !BEGUN.load(Ordering::Relaxed) {
            if message.kind == Fork::KIND {
                BEGUN.store(true, Ordering::Relaxed);
            }
            // What the machine is like makes the seed.
            message.body.iter().for_each(|word| CORRUPTOR.stir(*word));
            spaces_in(message).into_iter().for_each(spare);
            return self.0.sendrec(to, message);
        }
        if !is_spared(message) {
            CORRUPTOR.note(&message.body);
            if CORRUPTOR.spoil(message, ONE_IN, |spoilt| !is_spared(spoilt)) {
                let spoilt = CORRUPTOR.spoilt();
                if spoilt.is_multiple_of(TOLD_EVERY) {
                    sys::log!("{spoilt} requests were wrong");
                }
            }
        }
        let done = self.0.sendrec(to, message);
        CORRUPTOR.note(&message.body);
        done
    }
}

/// Requests about a space are right from now on.
fn spare(space: u64) {
    let place = SPARED.iter().find(|place| [0, space].contains(&place.load(Ordering::Relaxed)));
    if let Some(place) = place.filter(|_| space != 0) {
        place.store(space, Ordering::Relaxed);
    }
}

/// Whether a request is about somebody who must not be harmed.
fn is_spared(message: &Message) -> bool {
    let is_spared = |space: &u64| *space != 0 && SPARED.iter().any(|place| place.load(Ordering::Relaxed) == *space);
    let lives_on = |process: &Endpoint| process.slot() < FIRST_SLOT || *process == Endpoint::SELF;
    spaces_in(message).iter().any(is_spared) || processes_in(message).iter().any(lives_on)
}

/// Reads a request of one of the kinds that are named.
macro_rules! read {
    ($message:ident, $none:expr, $($call:ident => |$name:ident| $what:expr),+ $(,)?) => {
        match $message.kind {
            $($call::KIND => decode::<$call>($message).map_or($none, |$name| $what),)+
            _ => $none,
        }
    };
}

/// The spaces that a request names.
fn spaces_in(message: &Message) -> [u64; 2] {
    read!(message, [0; 2],
        DestroySpace => |call| [call.space, 0],
        MapRun => |call| [call.space, 0],
        UnmapRun => |call| [call.space, 0],
        ProtectRun => |call| [call.space, 0],
        QueryRun => |call| [call.space, 0],
        Donate => |call| [call.space, 0],
        Settle => |call| [call.space, 0],
        Part => |call| [call.space, 0],
        Share => |call| [call.from, call.to],
        CopyPage => |call| [call.space, 0],
    )
}

/// The processes that a request names.
fn processes_in(message: &Message) -> [Endpoint; 2] {
    let nobody = [Endpoint::NONE; 2];
    let one = |process| [process, Endpoint::NONE];
    read!(message, nobody,
        Settle => |call| one(call.process),
        ClearPageFault => |call| one(call.process),
        AnswerRequest => |call| one(call.process),
        SupplyPage => |call| one(call.process),
        SupplyCopy => |call| one(call.process),
        Kill => |call| one(call.process),
        Clear => |call| one(call.process),
        Exec => |call| one(call.process),
        Update => |call| [call.source, call.destination],
        PhysCopy => |call| [call.source, call.destination],
        VirCopy => |call| [call.source, call.destination],
    )
}
