//! The data store.
#![no_std]
#![no_main]

mod program;

use abi::grant::GrantId;
use abi::{Endpoint, Errno, Message};
use program::{JOURNAL_LEN, Server};
use protocol::Call;
use protocol::ds::{EntryKind, Key, Publish, STATE_GRANT};
use protocol::sef::{ServiceEntry, TABLE_LEN};
use sef::state::{PROTOCOL_FREE, REQUEST_FREE, WORK_FREE};
use sef::{Begin, Prepared, Service};
use sys::grants::Received;

sys::entry!(main);

fn main() -> u64 {
    sef::run(&mut DataStore { server: None })
}

/// The label of the root system process, which sets labels.
const REGISTRAR: &[u8] = b"rs";

/// The server, as soon as it has begun.
struct DataStore {
    server: Option<Server>,
}

impl DataStore {
    /// Goes on where the instance before has stopped: its journal is whole at any time.
    fn succeed(&mut self, begin: &Begin) -> Result<(), Errno> {
        program::grant_state()?;
        let state = begin.old.ok_or(Errno::NoEnt)?.state;
        let server = program::succeed(state.granter).map_err(|damage| {
            sys::log!("what the instance before has left cannot be read: {damage:?}");
            Errno::Io
        })?;
        self.server = Some(server);
        Ok(())
    }
}

/// Gives each service that there is its label.
fn set_labels(server: &mut Server, root: Endpoint, table: Received) -> Result<(), Errno> {
    let mut services = [ServiceEntry::FREE; TABLE_LEN];
    table.copy_from(0, &mut services)?;
    for service in services.iter().filter(|service| service.endpoint != Endpoint::NONE) {
        let len = service.label.iter().position(|byte| *byte == 0).unwrap_or(service.label.len());
        let key = Key::new(&service.label[..len]).ok_or(Errno::Inval)?;
        let call = Publish { key, kind: EntryKind::Label, flags: 0, len: 0, value: service.endpoint.raw().into() };
        let mut message = Message { peer: root, ..protocol::encode(Publish::KIND, &call) };
        program::answer(server, &mut message);
        message.kind.status().ok_or(Errno::Proto)??;
    }
    Ok(())
}

impl Service for DataStore {
    fn begin(&mut self, begin: &Begin) -> Result<(), Errno> {
        program::grant_state()?;
        let mut server = program::begin(begin.root, REGISTRAR)?;
        set_labels(&mut server, begin.root, begin.table)?;
        self.server = Some(server);
        Ok(())
    }

    fn begin_again(&mut self, begin: &Begin) -> Result<(), Errno> {
        self.succeed(begin)
    }

    fn take_over(&mut self, begin: &Begin) -> Result<(), Errno> {
        self.succeed(begin)
    }

    fn accepts(&self, state: u32) -> Result<(), Errno> {
        let is_known = matches!(state, WORK_FREE | REQUEST_FREE | PROTOCOL_FREE);
        if is_known { Ok(()) } else { Err(Errno::Inval) }
    }

    fn prepare(&mut self, _: u32) -> Prepared {
        // Each request is done when the next one comes.
        Prepared::Ready
    }

    fn kept_state(&self) -> Option<(GrantId, u64)> {
        Some((GrantId::from_raw(STATE_GRANT), JOURNAL_LEN))
    }

    fn answer(&mut self, request: &mut Message) -> bool {
        match &mut self.server {
            Some(server) => program::answer(server, request),
            None => false,
        }
    }
}
