//! What the file server is told.

use crate::process::Flags;
use crate::table::Slot;
use crate::{Pm, Port};
use abi::Endpoint;
use protocol::pmfiles::{Tell, What};
use protocol::{Call, Transport};

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    /// Tells the file server something, if there is one. Whether it has to answer before things go on.
    pub(crate) fn tell_files(&mut self, slot: Slot, what: What, other: Endpoint, words: [u64; 4]) -> bool {
        let Some(files) = self.files else {
            return false;
        };
        let process = &mut self.table[slot];
        let tell = Tell { what, process: process.endpoint, other, pid: process.pid, words };
        let answers = !matches!(what, What::Known | What::SrvFork);
        let message = abi::Message { peer: files, ..protocol::encode(Tell::KIND, &tell) };
        if self.port.tell(&message).is_err() {
            // Nobody is there to answer.
            return false;
        }
        if answers {
            self.table[slot].flags |= Flags::FILES;
        }
        answers
    }
}
