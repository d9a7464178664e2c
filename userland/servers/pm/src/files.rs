//! What the file server is told.

use crate::process::Flags;
use crate::table::Slot;
use crate::{Pm, Port};
use abi::{Endpoint, Errno, Kind, Message};
use protocol::pm::{FilesDone, FilesDoneNoted, SessionSet, status};
use protocol::pmfiles::{Tell, What};
use protocol::{Answer, Call, Caller, Transport};

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    /// Tells the file server something, if there is one. Whether it has to answer before things go on.
    pub(crate) fn tell_files(&mut self, slot: Slot, what: What, other: Endpoint, words: [u64; 4]) -> bool {
        let Some(files) = self.files else {
            return false;
        };
        let process = &mut self.table[slot];
        let tell = Tell { what, process: process.endpoint, other, pid: process.pid, words };
        let answers = !matches!(what, What::Known | What::SrvFork);
        let message = Message { peer: files, ..protocol::encode(Tell::KIND, &tell) };
        if self.port.tell(&message).is_err() {
            // Nobody is there to answer.
            return false;
        }
        if answers {
            self.table[slot].flags |= Flags::FILES;
            self.table[slot].asked = what;
        }
        answers
    }

    /// The file server has answered. An answer that nobody waits for is dropped.
    pub(crate) fn do_files_done(&mut self, from: Caller, call: &FilesDone) -> Answer<FilesDoneNoted> {
        if Some(from.endpoint) != self.files {
            return Answer::Fail(Errno::Perm);
        }
        let error = u16::try_from(call.error).ok().and_then(Errno::from_number);
        let slot = self.table.find(call.process).filter(|slot| self.table[*slot].is(Flags::FILES));
        let Some(slot) = slot else {
            self.port.log(format_args!("an answer about process {} that was not asked for", call.process));
            return Answer::Later;
        };
        let what = self.table[slot].asked;
        self.table[slot].flags.remove(Flags::FILES);
        if self.table[slot].is(Flags::EXITS) && !matches!(what, What::Exit | What::DumpCore) {
            if what == What::Fork {
                self.finish_fork(slot, error);
            }
            // It was ended meanwhile. Now the file server can hear of that.
            if self.table.find(call.process).is_some() && !self.tell_files(slot, What::Exit, Endpoint::NONE, [0; 4]) {
                self.finish_exit(slot);
            }
            return Answer::Later;
        }
        self.go_on_after(slot, what, error);
        Answer::Later
    }

    fn go_on_after(&mut self, slot: Slot, what: What, error: Option<Errno>) {
        let process = &mut self.table[slot];
        let caller = Caller { endpoint: process.endpoint, tag: process.tag };
        match what {
            What::Known | What::SrvFork | What::Reboot => {}
            What::Fork => return self.finish_fork(slot, error),
            What::DumpCore if error.is_none() => {
                process.status |= status::CORE;
                return self.finish_exit(slot);
            }
            What::Exit | What::DumpCore => return self.finish_exit(slot),
            What::Exec => return self.end_exec(slot, error),
            What::SetSession => {
                let pid = process.pid;
                let request = Message { tag: caller.tag, ..Message::new(caller.endpoint, Kind(0)) };
                self.port.answer(&protocol::reply(&request, Ok(&SessionSet { pid, reserved: 0 })));
            }
            What::SetUid | What::SetGid | What::SetGroups => self.answer_done(caller),
            What::Unpause => {}
        }
        self.deliver(slot);
    }
}
