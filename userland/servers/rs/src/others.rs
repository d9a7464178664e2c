//! The way to everybody else, and what of the root system process is no logic.

use abi::asynchronous::{AsyncEntry, AsyncFlags, MAX_ENTRIES};
use abi::boot::BootEntry;
use abi::event::SystemEvent;
use abi::grant::GrantId;
use abi::layout::STACK_TOP;
use abi::{Endpoint, Errno, Message};
use core::fmt;
use exec::{Accept, Facts, Request, Trust};
use protocol::Transport;
use protocol::sef::{ServiceEntry, TABLE_LEN};
use rs::{Arguments, Name, Servers};
use rt::AsyncSlot;
use rt::random::Random;
use sys::Ipc;
use sys::grants::{FOREVER, Pages, Received, Rights, SharedGrant};
use zerocopy::IntoBytes;

/// Bytes of the stack of a service; it is there page by page, when it is touched.
const STACK: u64 = 1 << 20;

/// Messages that are on their way.
static OUTBOX: [AsyncSlot; MAX_ENTRIES] = [const { AsyncSlot::new() }; MAX_ENTRIES];
/// The table of services, for all to read.
static SERVICES: Pages<1> = Pages::new();
/// Words of an entry.
const ENTRY_WORDS: usize = size_of::<ServiceEntry>() / size_of::<u64>();

const _: () = assert!(TABLE_LEN * size_of::<ServiceEntry>() <= 4096 && size_of::<ServiceEntry>().is_multiple_of(8));

/// Bytes of all arguments, the name of the program among them.
const ARGUMENTS: usize = abi::boot::NAME_LEN + protocol::rs::MAX_ARGUMENTS as usize + 1;

/// The way to others.
pub(crate) struct Others {
    ipc: Ipc,
    /// For programs that are started; made when the first one is.
    random: Option<Random>,
    /// The grant of the table.
    table: Option<SharedGrant<'static, 1>>,
}

impl Others {
    pub(crate) const fn new() -> Self {
        Self { ipc: Ipc::new(), random: None, table: None }
    }
}

impl Transport for Others {
    fn sendrec(&mut self, to: Endpoint, message: &mut Message) -> Result<(), Errno> {
        self.ipc.sendrec(to, message)
    }
}

impl Servers for Others {
    fn wait_until_ready(&mut self, server: Endpoint) -> Result<(), Errno> {
        loop {
            let Message { peer, body, .. } = rt::receive(Endpoint::ANY)?.message;
            if peer == server {
                return Ok(());
            }
            // Nobody else runs: the signal is the server's.
            if peer == Endpoint::SYSTEM && SystemEvent::read(&body).signaled.is_some() {
                return Err(Errno::DeadSrcDst);
            }
        }
    }

    fn boot_file(&mut self, place: u64) -> Result<&'static [u8], Errno> {
        rt::boot_file(place)
    }

    fn read(&mut self, granter: Endpoint, id: GrantId, into: &mut [u8]) -> Result<(), Errno> {
        Ok(Received { granter, id }.copy_from(0, into)?)
    }

    fn load(
        &mut self,
        vm: Endpoint,
        process: Endpoint,
        name: &Name,
        image: &[u8],
        arguments: &Arguments,
    ) -> Result<(), Errno> {
        let text = BootEntry::decode_name(&name.0).ok_or(Errno::Inval)?;
        let (mut all, start) = ([0; ARGUMENTS], text.len() + 1);
        let end = start + arguments.bytes().len();
        all.get_mut(..text.len()).ok_or(Errno::TooBig)?.copy_from_slice(text.as_bytes());
        all.get_mut(start..end).ok_or(Errno::TooBig)?.copy_from_slice(arguments.bytes());
        let random = self.random.get_or_insert_with(Random::new);
        let request = Request {
            accept: Accept::Native,
            stack: STACK_TOP - STACK..STACK_TOP,
            base: random.word(),
            arguments: &all[..end],
            environment: b"",
            name: core::ffi::CStr::from_bytes_until_nul(&name.0).unwrap_or_default(),
            facts: Facts { uid: 0, euid: 0, gid: 0, egid: 0, trust: Trust::Caller, random: random.bytes(), hwcap: 0 },
        };
        match exec::exec(vm, process, text, image, &request) {
            Ok(_) => Ok(()),
            Err(error) => {
                sys::log!("{text}: {error}");
                Err(Errno::NoExec)
            }
        }
    }

    fn tell(&mut self, message: &Message) -> Result<(), Errno> {
        // Those that were sent make room, and so do those that never can be.
        OUTBOX.iter().for_each(|slot| _ = slot.take());
        let free = OUTBOX.iter().find(|slot| !slot.is_open()).ok_or(Errno::NoSpc)?;
        let flags = AsyncFlags::VALID.bits();
        free.put(&AsyncEntry { flags, destination: message.peer, result: 0, message: *message })?;
        rt::senda(&OUTBOX)
    }

    fn answer(&mut self, answer: &Message) {
        // Whoever does not wait any more needs none.
        let _ = rt::send_nb(answer);
    }

    fn notify(&mut self, to: Endpoint) {
        // Its end is told in another way.
        let _ = rt::notify(to);
    }

    fn show(&mut self, place: usize, entry: &ServiceEntry) {
        for (i, word) in entry.as_bytes().chunks_exact(size_of::<u64>()).enumerate() {
            let word = word.try_into().map_or(0, u64::from_ne_bytes);
            SERVICES.store(place * ENTRY_WORDS + i, word);
        }
    }

    fn table_grant(&mut self) -> GrantId {
        if self.table.is_none() {
            match FOREVER.share(&SERVICES, Rights::READ, Endpoint::ANY) {
                Ok(grant) => self.table = Some(grant),
                Err(error) => sys::log!("the table of services cannot be shown: {error}"),
            }
        }
        self.table.as_ref().map_or(GrantId::INVALID, |grant| grant.id())
    }

    fn log(&mut self, line: fmt::Arguments<'_>) {
        sys::log!("{line}");
    }
}
