//! What calls change, and how they travel.

use super::calls::{Call, Plan, Transfer};
use super::verify::Mark;
use super::{Mapping, Model, Process, SpaceName};
use abi::Message;
use protocol::kernel::*;
use protocol::{Call as _, encode};

impl Plan {
    /// The spaces that it changes.
    pub(crate) fn spaces(&self, me: &Process) -> Vec<SpaceName> {
        match self {
            Self::Copy(transfer) | Self::Fill(transfer, _) => vec![transfer.to.space],
            Self::Map(mapping, _) => vec![mapping.owner, mapping.borrower],
            _ => vec![me.space],
        }
    }
}

impl Call {
    /// As it travels.
    pub(crate) fn message(&self) -> Message {
        match self {
            Self::From(call) => encode(SafeCopyFrom::KIND, call),
            Self::To(call) => encode(SafeCopyTo::KIND, call),
            Self::Fill(call) => encode(SafeMemSet::KIND, call),
            Self::List(call) => encode(VSafeCopy::KIND, call),
            Self::Virtual(call) => encode(VirCopy::KIND, call),
            Self::Map(call) => encode(SafeMap::KIND, call),
            Self::Unmap(call) => encode(SafeUnmap::KIND, call),
            Self::Revoke(call) => encode(SafeRevMap::KIND, call),
            Self::RevokeAt(call) => encode(SafeRevMapAt::KIND, call),
            Self::Table(call) => encode(SetGrant::KIND, call),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::From(_) => "safecopyfrom",
            Self::To(_) => "safecopyto",
            Self::Fill(_) => "safememset",
            Self::List(_) => "vsafecopy",
            Self::Virtual(_) => "vircopy",
            Self::Map(_) => "safemap",
            Self::Unmap(_) => "safeunmap",
            Self::Revoke(_) => "saferevmap",
            Self::RevokeAt(_) => "saferevmap_at",
            Self::Table(_) => "setgrant",
        }
    }
}

/// What calls change.
impl Model {
    /// A call has failed: where it may be noted, it is. Whether it was.
    pub(crate) fn note(&mut self, mark: Mark) -> bool {
        let bytes = mark.id.raw().to_ne_bytes();
        let may = self.has(mark.space, mark.address, bytes.len() as u64, true);
        if may {
            self.write(mark.space, mark.address, &bytes);
        }
        may
    }

    /// How many mappings a revocation ends.
    pub(crate) fn ended_by(&self, plan: &Plan) -> usize {
        let ends = |mapping: &&Mapping| match plan {
            Plan::Revoke(granter, id) => mapping.links.contains(&(*granter, *id)),
            Plan::RevokeAt { owner, address } => mapping.lends(*owner, *address, 1),
            _ => false,
        };
        self.mappings.iter().filter(ends).count()
    }

    /// Somebody's call has done what was planned; `reply` is its answer. Returns what is wrong with that.
    pub(crate) fn perform(&mut self, me: usize, plan: Plan, reply: [u64; 2]) -> Result<(), String> {
        let [done, skip] = reply;
        match plan {
            Plan::Copy(transfer) if !transfer.may_do(done) => return Err(format!("{done} bytes of {transfer:x?}")),
            Plan::Copy(Transfer { from: Some(from), to, .. }) => {
                self.copy((from.space, from.address), (to.space, to.address), done);
            }
            Plan::Copy(transfer) => return Err(format!("{transfer:?} copies from nowhere")),
            Plan::Fill(transfer, _) if done != transfer.least() => return Err(format!("{done} of {transfer:x?}")),
            Plan::Fill(transfer, byte) => {
                self.write(transfer.to.space, transfer.to.address, &vec![byte; done as usize]);
            }
            Plan::List(call) => self.make_list(me, &call, VCopied { next: done, skip })?,
            Plan::Map(mapping, _) if done != mapping.len => return Err(format!("{done} bytes")),
            Plan::Map(mapping, write) => self.map(mapping, write),
            Plan::Unmap { borrower, to } => drop(self.end(|m| m.borrower == borrower && m.to == to)),
            Plan::Revoke(granter, id) => drop(self.end(|m| m.links.contains(&(granter, id)))),
            Plan::RevokeAt { owner, address } => drop(self.end(|m| m.lends(owner, address, 1))),
            Plan::Table(table) => self.processes[me].table = table,
        }
        Ok(())
    }

    /// Makes the copies of a list up to where the call says that it has come. The first of them it has made, as far as one call
    /// can; before a later one it may stop.
    fn make_list(&mut self, me: usize, call: &VSafeCopy, end: VCopied) -> Result<(), String> {
        let me = self.processes[me].clone();
        let mut at = VCopied { next: call.first, skip: call.skip };
        let mut room = MAX_COPIED;
        while at.next < call.count && room > 0 && (at != end || room == MAX_COPIED) {
            let transfer = self.listed(&me, call, &at).map_err(|why| format!("{end:?}, but at {at:?} it {why:?}"))?;
            let step = transfer.len.min(room);
            self.check(&transfer, step).map_err(|why| format!("{end:?}, but at {at:?} it {why:?}"))?;
            let from = transfer.from.expect("all of a list have two sides");
            self.copy((from.space, from.address), (transfer.to.space, transfer.to.address), step);
            room -= step;
            at.skip += step;
            if step == transfer.len {
                at = VCopied { next: at.next + 1, skip: 0 };
            }
        }
        if at == end { Ok(()) } else { Err(format!("{end:?} instead of {at:?}")) }
    }
}
