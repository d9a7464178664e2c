//! The root system process on the host: alone with a kernel that notes what it is asked ([`fake`]), and in a world of servers and
//! services ([`world`], [`stage`]) in which something is checked after each event ([`rules`]).

extern crate std;

mod boots;
mod by_table;
mod control;
mod deaths;
mod fake;
mod news;
mod random;
mod requests;
mod rules;
mod scripts;
mod shutdowns;
mod signals;
mod stage;
mod updates;
mod watch;
mod world;

use super::*;
use abi::boot::BootFlags;
use abi::{Kind, PrivilegeId, TrapMask};
use core::cell::RefCell;
use protocol::Call;
use protocol::getinfo::{BootPolicy, GetBootPolicy};
use protocol::kernel::{Clear, Cleared, EndedKSig, Identity, KSig, WhoAmI};
use protocol::privctl::{Allow, Allowed, SetSys, SysSet, SysUpdated, UpdateSys};
use protocol::vm::{CallsSet, Exit, ExitDone, SetCalls, WillExit, WillExitDone};

/// Answers a call with what `act` makes of it.
fn serve<C: Call>(request: &Message, act: impl FnOnce(C) -> Result<C::Reply, Errno>) -> Message {
    let result = protocol::decode::<C>(request).and_then(act);
    protocol::reply(request, result.as_ref().map_err(|errno| *errno))
}

fn endpoint(slot: usize) -> Endpoint {
    Endpoint::new(slot, 0).expect("a slot")
}
