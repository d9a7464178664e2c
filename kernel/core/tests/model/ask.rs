//! What a process can ask for.

use crate::support::*;
use abi::{Endpoint, Kind, Message, Trap};
use protocol::{getinfo, kernel, privctl, statectl, vmctl};

/// A trap. The message that goes with it stands in the registers.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Send(Endpoint),
    SendNb(Endpoint),
    SendRec(Endpoint),
    Notify(Endpoint),
    Receive(Endpoint),
    ReplyReceive {
        to: Endpoint,
        from: Endpoint,
    },
    SendA {
        address: u64,
        count: u64,
    },
    Call(Call),
    /// No trap at all.
    Unknown(u64),
}

impl Ask {
    /// The registers that ask for it, with message `n`.
    pub(crate) fn regs(&self, n: u16) -> Regs {
        match self {
            Self::Send(to) => send(*to, n),
            Self::SendNb(to) => sendnb(*to, n),
            Self::SendRec(to) => sendrec(*to, n),
            Self::Notify(to) => notify(*to),
            Self::Receive(from) => receive(*from),
            Self::ReplyReceive { to, from } => reply_receive(*to, n, *from),
            Self::SendA { address, count } => senda(*address, *count),
            Self::Call(call) => call.regs(),
            Self::Unknown(rax) => Regs { rax: *rax, ..send(Endpoint::ANY, n) },
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Send(_) => "send",
            Self::SendNb(_) => "sendnb",
            Self::SendRec(_) => "sendrec",
            Self::Notify(_) => "notify",
            Self::Receive(_) => "receive",
            Self::ReplyReceive { .. } => "reply_receive",
            Self::SendA { .. } => "senda",
            Self::Call(call) => call.name(),
            Self::Unknown(_) => "unknown",
        }
    }
}

macro_rules! calls {
    ($($name:ident($type:ty) = $bit:literal,)+) => {
        /// A kernel call.
        #[derive(Clone, Debug)]
        pub(crate) enum Call {
            $($name($type),)+
            /// A number that there is not.
            Unknown(u16),
        }

        impl Call {
            fn regs(&self) -> Regs {
                match self {
                    $(Self::$name(call) => kernel_call(call),)+
                    Self::Unknown(kind) => kernel_call_raw(&Message::new(Endpoint::NONE, Kind(*kind))),
                }
            }

            /// Its number in the mask of calls.
            pub(crate) fn bit(&self) -> Option<u32> {
                match self {
                    $(Self::$name(_) => Some($bit),)+
                    Self::Unknown(_) => None,
                }
            }

            fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)+
                    Self::Unknown(_) => "Unknown",
                }
            }
        }
    };
}

calls! {
    Fork(kernel::Fork) = 0,
    Exec(kernel::Exec) = 1,
    Clear(kernel::Clear) = 2,
    Schedule(kernel::Schedule) = 3,
    Kill(kernel::Kill) = 6,
    GetKSig(kernel::GetKSig) = 7,
    EndKSig(kernel::EndKSig) = 8,
    SetAlarm(kernel::SetAlarm) = 24,
    Times(kernel::Times) = 25,
    WhoAmI(kernel::WhoAmI) = 29,
    Abort(kernel::Abort) = 27,
    DiagWrite(kernel::DiagWrite) = 44,
    RunCtl(kernel::RunCtl) = 46,
    Update(kernel::Update) = 52,
    Exit(kernel::Exit) = 53,
    SchedCtl(kernel::SchedCtl) = 54,
    Allow(privctl::Allow) = 4,
    Disallow(privctl::Disallow) = 4,
    SetSys(privctl::SetSys) = 4,
    SetUser(privctl::SetUser) = 4,
    UpdateSys(privctl::UpdateSys) = 4,
    YieldTo(privctl::YieldTo) = 4,
    ClearRefsOf(privctl::ClearRefs) = 4,
    GetPrivileges(getinfo::GetPrivileges) = 28,
    Settle(vmctl::Settle) = 43,
    ClearPageFault(vmctl::ClearPageFault) = 43,
    NextEvent(vmctl::NextEvent) = 43,
    AnswerRequest(vmctl::AnswerRequest) = 43,
    ClearRefs(statectl::ClearRefs) = 55,
    AddBlacklist(statectl::AddBlacklist) = 55,
    AddWhitelist(statectl::AddWhitelist) = 55,
    ClearFilters(statectl::ClearFilters) = 55,
}

/// The trap that a message was sent with, as its receiver is told.
pub(crate) const fn sent_with(trap: Trap) -> u64 {
    trap as u64
}
