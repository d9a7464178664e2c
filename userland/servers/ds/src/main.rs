//! The data store.
#![no_std]
#![no_main]

mod program;

use abi::{Endpoint, Errno, Message};
use core::fmt::Display;
use program::{JOURNAL, JournalGrant, Server, grant_journal};
use protocol::Call;
use protocol::ds::{EntryKind, Key, Publish};
use protocol::sef::{ServiceEntry, TABLE_LEN};
use sef::{Begin, Old, Prepared, Service, state};
use sys::grants::{GrantId, Received};

sys::entry!(main);

/// The label of the root system process, which sets all others.
const ROOT: &str = "rs";

/// Bytes of the journal.
const JOURNAL_LEN: u64 = JOURNAL as u64 * abi::layout::PAGE_SIZE;

fn main() -> u64 {
    sef::run(&mut DataStore::default())
}

/// The data store as a service.
#[derive(Default)]
struct DataStore {
    server: Option<Server>,
    journal: Option<JournalGrant>,
    /// The id of that grant. A new version gets this as the state, and reads the journal itself.
    saved: [u8; 8],
}

impl DataStore {
    fn serve(&mut self, server: Server, begin: &Begin) -> Result<(), Errno> {
        let journal = grant_journal(begin.endpoint)?;
        self.saved = journal.id().raw().to_le_bytes();
        self.journal = Some(journal);
        program::tell(self.server.insert(server));
        Ok(())
    }

    fn succeed(&mut self, journal: Received, begin: &Begin) -> Result<(), Errno> {
        let server = program::succeed(journal).map_err(explained)?;
        self.serve(server, begin)
    }
}

/// Gives each service that there is at boot its label: nobody has to tell of them one by one.
fn set_labels(server: &mut Server, begin: &Begin) -> Result<(), Errno> {
    let mut services = [ServiceEntry::FREE; TABLE_LEN];
    begin.table.copy_from(0, &mut services)?;
    for service in services.iter().filter(|service| service.endpoint != Endpoint::NONE) {
        let key = Key::new(sys::name_of(&service.label).as_bytes()).ok_or(Errno::Inval)?;
        let call = Publish { key, kind: EntryKind::Label, flags: 0, len: 0, value: service.endpoint.raw().into() };
        let mut message = Message { peer: begin.root, ..protocol::encode(Publish::KIND, &call) };
        program::answer(server, &mut message);
        message.kind.status().ok_or(Errno::Proto)??;
    }
    Ok(())
}

/// Nobody can read reasons in an error number: they go to the log.
fn explained(why: impl Display) -> Errno {
    sys::log!("{why}");
    Errno::Io
}

impl Service for DataStore {
    fn begin(&mut self, begin: &Begin) -> Result<(), Errno> {
        let mut server = program::begin(begin.root, ROOT)?;
        set_labels(&mut server, begin)?;
        self.serve(server, begin)
    }

    fn begin_again(&mut self, begin: &Begin) -> Result<(), Errno> {
        match begin.old {
            Some(Old { state, .. }) => self.succeed(state, begin),
            // It had not begun: so nobody has got an answer of it.
            None => self.begin(begin),
        }
    }

    fn take_over(&mut self, begin: &Begin) -> Result<(), Errno> {
        let Old { state, .. } = begin.old.ok_or(Errno::Inval)?;
        let id = GrantId::from_raw(state.value::<u64>(0)?);
        self.succeed(Received { granter: state.granter, id }, begin)
    }

    /// All that a request changes is changed when it is answered.
    fn accepts(&self, wanted: u32) -> Result<(), Errno> {
        match wanted {
            state::WORK_FREE | state::REQUEST_FREE | state::PROTOCOL_FREE => Ok(()),
            _ => Err(Errno::Inval),
        }
    }

    fn prepare(&mut self, _: u32) -> Prepared {
        Prepared::Ready
    }

    fn save(&mut self) -> Result<&[u8], Errno> {
        Ok(&self.saved)
    }

    fn kept_state(&self) -> Option<(GrantId, u64)> {
        self.journal.as_ref().map(|journal| (journal.id(), JOURNAL_LEN))
    }

    fn answer(&mut self, request: &mut Message) -> bool {
        self.server.as_mut().is_some_and(|server| program::answer(server, request))
    }
}
