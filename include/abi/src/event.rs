//! What the notification from [`crate::Endpoint::SYSTEM`] tells besides the time (word 0) and the signals (word 1).
//!
//! With [`crate::Signal::MANAGER`]: the endpoint of a process (word 2) and its signals (word 3), taken as the kernel call
//! `getksig` does. With [`crate::Signal::MEMORY`]: who waits (low half of word 4) for whose memory (high half), at which
//! address (word 5), what for (from bit [`ACCESS_SHIFT`] of word 6 on) and how many bytes of it (the bits below; 0 for a
//! page fault). In both, [`Endpoint::NONE`] if somebody else has taken it meanwhile. While there is more, another notification is pending.

use crate::Endpoint;

/// Where the access stands in word 6: 0 reading, 1 writing, 2 executing.
pub const ACCESS_SHIFT: u32 = 56;

/// What a notification from the kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemEvent {
    /// A bit for each signal.
    pub signals: u64,
    /// A process with signals, and these.
    pub signaled: Option<(Endpoint, u64)>,
    /// A process that waits for memory.
    pub memory: Option<MemoryWait>,
}

/// Somebody waits for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryWait {
    /// Who waits.
    pub requestor: Endpoint,
    /// Whose memory it is.
    pub process: Endpoint,
    /// The first byte.
    pub address: u64,
    /// How many; 0 for a page fault.
    pub len: u64,
    /// 0 reading, 1 writing, 2 executing.
    pub access: u8,
}

impl SystemEvent {
    /// Reads the payload of a notification from the kernel.
    pub fn read(body: &[u64; crate::BODY_WORDS]) -> Self {
        let named = |raw: u64| Some(Endpoint::from_raw(raw as u32)).filter(|e| *e != Endpoint::NONE);
        let [_, signals, signaled, set, names, address, access_and_len] = *body;
        let has = |signal: crate::Signal| signals & signal.bit() != 0;
        let memory = MemoryWait {
            requestor: Endpoint::from_raw(names as u32),
            process: Endpoint::from_raw((names >> 32) as u32),
            address,
            len: access_and_len & ((1 << ACCESS_SHIFT) - 1),
            access: (access_and_len >> ACCESS_SHIFT) as u8,
        };
        Self {
            signals,
            signaled: has(crate::Signal::MANAGER).then(|| named(signaled)).flatten().map(|who| (who, set)),
            memory: (has(crate::Signal::MEMORY) && memory.requestor != Endpoint::NONE).then_some(memory),
        }
    }
}
