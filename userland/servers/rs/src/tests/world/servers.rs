//! The other servers of the world: process manager, memory server, data store.

use super::*;
use protocol::ds::{Delete, Deleted, EntryKind, Flags, Publish, Published};
use protocol::pm::{
    GetProcessStatus, PidFound, PidOf, ProcessStatus, SrvExit, SrvExited, SrvFork, SrvForked, SrvIds, SrvIdsSet,
};
use std::string::ToString;

impl World {
    /// The answer of a server to the root system process.
    ///
    /// # Errors
    /// It is dead, or stands until the root system process has dealt with its signals.
    pub(super) fn server(&mut self, to: Endpoint, m: &Message) -> Result<Message, Errno> {
        let process = self.processes.get(&to).ok_or(Errno::DeadSrcDst)?;
        if process.program.is_stopped {
            return Err(Errno::Locked);
        }
        assert!(process.program.runs(), "{to} would let the root system process wait for ever");
        assert_eq!(process.program.asks, None, "{:?} would pass for the answer that {to} waits for", m.kind);
        let name = process.program.name.expect("a program that runs has one");
        Ok(match name.text() {
            "vm" => self.memory_server(m),
            "pm" => self.process_manager(m),
            "ds" => self.data_store(m),
            other => panic!("{other} is no server, and asked for {:?}", m.kind),
        })
    }

    fn process_manager(&mut self, m: &Message) -> Message {
        match m.kind {
            SrvFork::KIND => serve(m, |call: SrvFork| {
                let child = self.spawn();
                self.last_pid += 1;
                self.memory.insert(child, false);
                self.pids.insert(child, self.last_pid);
                self.uids.insert(child, call.uid);
                Ok(SrvForked { child, pid: self.last_pid })
            }),
            SrvExit::KIND => serve(m, |SrvExit { process, .. }| {
                if !self.pids.contains_key(&process) {
                    return Err(Errno::Srch);
                }
                if self.users_of_table.contains(&process) {
                    return Err(Errno::Inval);
                }
                self.memory.remove(&process);
                self.pids.remove(&process);
                match self.clear(process) {
                    Ok(()) | Err(Errno::Inval) => Ok(SrvExited {}),
                    Err(errno) => Err(errno),
                }
            }),
            PidOf::KIND => serve(m, |call: PidOf| {
                let pid = *self.pids.get(&call.process).ok_or(Errno::Srch)?;
                Ok(PidFound { pid, parent: 1 })
            }),
            SrvIds::KIND => serve(m, |call: SrvIds| {
                assert_eq!(call.uid, call.gid);
                self.pids.get(&call.process).ok_or(Errno::Srch)?;
                self.uids.insert(call.process, call.uid);
                Ok(SrvIdsSet {})
            }),
            GetProcessStatus::KIND => serve(m, |call: GetProcessStatus| {
                let mut found = self.pids.iter().filter(|(process, _)| process.slot() == call.slot as usize);
                let (&endpoint, &pid) = found.next().ok_or(Errno::Srch)?;
                let uid = self.uids[&endpoint];
                let (name, parent, group, session, flags) = ([0; _], 1, pid, pid, 0);
                // Set-uid programs work as their owner.
                let (uid, effective_uid) = (77, uid);
                Ok(ProcessStatus { name, endpoint, pid, parent, group, session, uid, effective_uid, flags })
            }),
            other => panic!("the process manager has no {other:?}"),
        }
    }

    fn memory_server(&mut self, m: &Message) -> Message {
        match m.kind {
            SetCalls::KIND => {
                serve(m, |call: SetCalls| self.memory.get(&call.process).map(|_| CallsSet {}).ok_or(Errno::Srch))
            }
            WillExit::KIND => serve(m, |call: WillExit| {
                *self.memory.get_mut(&call.process).ok_or(Errno::Srch)? = true;
                Ok(WillExitDone {})
            }),
            Exit::KIND => serve(m, |call: Exit| match self.memory.get(&call.process) {
                None => Err(Errno::Srch),
                Some(false) => Err(Errno::Inval),
                Some(true) => {
                    self.memory.remove(&call.process);
                    Ok(ExitDone {})
                }
            }),
            protocol::vm::Update::KIND => serve(m, |call: protocol::vm::Update| {
                assert_eq!(call.flags, 0);
                for process in [call.source, call.destination] {
                    self.memory.get(&process).ok_or(Errno::Srch)?;
                }
                self.swap(call.source, call.destination, call.direction).map(|()| protocol::vm::UpdateDone {})
            }),
            protocol::vm::TakeRefusal::KIND => {
                serve(m, |_: protocol::vm::TakeRefusal| self.refusals.pop().ok_or(Errno::Srch))
            }
            other => panic!("the memory server has no {other:?}"),
        }
    }

    fn data_store(&mut self, m: &Message) -> Message {
        match m.kind {
            Publish::KIND => serve(m, |call: Publish| {
                assert_eq!((call.kind, call.len), (EntryKind::Label, 0));
                assert_eq!(Flags::from_bits(call.flags), Some(Flags::OVERWRITE));
                let (label, endpoint) = (text_of(&call.key), Endpoint::from_raw(call.value as u32));
                if label == "rs" {
                    return Err(Errno::Perm);
                }
                if self.labels.iter().any(|(other, known)| *known == endpoint && *other != label) {
                    return Err(Errno::Exist);
                }
                self.labels.insert(label, endpoint);
                Ok(Published {})
            }),
            Delete::KIND => serve(m, |call: Delete| {
                assert_eq!(call.kind, EntryKind::Label);
                self.labels.remove(&text_of(&call.key)).map(|_| Deleted {}).ok_or(Errno::Srch)
            }),
            other => panic!("the data store has no {other:?}"),
        }
    }
}

fn text_of(key: &protocol::ds::Key) -> String {
    core::str::from_utf8(&key.bytes[..key.len as usize]).expect("a text").to_string()
}
