//! Process groups and sessions.

use crate::process::Flags;
use crate::{Pm, Port};
use abi::{Endpoint, Errno};
use protocol::pm::*;
use protocol::pmfiles::What;
use protocol::{Answer, Caller, Transport};

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    pub(crate) fn do_getpgid(&self, from: Caller, pid: u32) -> Result<Group, Errno> {
        let me = self.table.find(from.endpoint).ok_or(Errno::Srch)?;
        let slot = if pid == 0 { me } else { self.table.by_pid(pid).ok_or(Errno::Srch)? };
        let process = &self.table[slot];
        Ok(Group { group: process.group, session: process.session })
    }

    pub(crate) fn do_setpgid(&mut self, from: Caller, call: &SetGroup) -> Result<(), Errno> {
        let me = self.user(from.endpoint)?;
        let slot = if call.pid == 0 { me } else { self.table.by_pid(call.pid).ok_or(Errno::Srch)? };
        let process = &self.table[slot];
        let is_child = process.parent == Some(me) && !process.is(Flags::EXITS);
        if slot != me && !is_child {
            return Err(Errno::Srch);
        }
        if slot != me && process.is(Flags::EXECED) {
            return Err(Errno::Access);
        }
        let session = self.table[me].session;
        if process.session != session || process.session == process.pid {
            return Err(Errno::Perm);
        }
        let group = if call.group == 0 { process.pid } else { call.group };
        let exists = self.table.iter().any(|(_, other)| other.group == group && other.session == session);
        if group != process.pid && !exists {
            return Err(Errno::Perm);
        }
        self.table[slot].group = group;
        Ok(())
    }

    pub(crate) fn do_setsid(&mut self, from: Caller) -> Answer<SessionSet> {
        let slot = match self.user(from.endpoint) {
            Ok(slot) => slot,
            Err(error) => return Answer::Fail(error),
        };
        let pid = self.table[slot].pid;
        // A group with its number would get a second session.
        if self.table.iter().any(|(_, process)| process.group == pid) {
            return Answer::Fail(Errno::Perm);
        }
        let process = &mut self.table[slot];
        process.group = pid;
        process.session = pid;
        process.tag = from.tag;
        if self.tell_files(slot, What::SetSession, Endpoint::NONE, [0; 4]) {
            Answer::Later
        } else {
            Answer::Reply(SessionSet { pid, reserved: 0 })
        }
    }
}
