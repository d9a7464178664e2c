//! What calls come to.

use super::verify::{Mark, Wanted};
use super::{Mapping, Model, Process, SpaceName, Table, is_users};
use abi::grant::{GrantFlags, MAX_GRANTS};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Message};
use protocol::kernel::{
    CopyFlags, MAX_COPIED, MAX_COPIES, MAX_LENT, SafeCopy, SafeCopyFrom, SafeCopyTo, SafeMap, SafeMemSet, SafeRevMap,
    SafeRevMapAt, SafeUnmap, SetGrant, VCopied, VSafeCopy, VirCopy,
};
use protocol::{Call as _, encode};
use zerocopy::FromBytes;

/// A kernel call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    From(SafeCopyFrom),
    To(SafeCopyTo),
    Fill(SafeMemSet),
    List(VSafeCopy),
    Virtual(VirCopy),
    Map(SafeMap),
    Unmap(SafeUnmap),
    Revoke(SafeRevMap),
    RevokeAt(SafeRevMapAt),
    Table(SetGrant),
}

/// Memory that the memory server is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) process: Endpoint,
    pub(crate) address: u64,
    pub(crate) len: u64,
    pub(crate) write: bool,
}

/// What a call must do now.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// It fails, with one of these; nothing has changed but for a mark.
    Fails(Vec<Errno>, Option<Mark>),
    /// It waits for the memory server.
    Waits(Need),
    Does(Plan),
}

/// What it does.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    Copy(Transfer),
    Fill(Transfer, u8),
    List(VSafeCopy),
    Map(Mapping, bool),
    Unmap { borrower: SpaceName, to: u64 },
    Revoke(Endpoint, abi::grant::GrantId),
    RevokeAt { owner: SpaceName, address: u64 },
    Table(Table),
}

/// Memory on one side of a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    process: Endpoint,
    space: SpaceName,
    address: u64,
}

/// A copy that may be made.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    /// None if it only fills.
    from: Option<Side>,
    to: Side,
    len: u64,
    /// It fails where memory is missing, and notes it there.
    tries: bool,
    mark: Option<Mark>,
}

/// From so many bytes on pages may be shared until somebody writes, which may be more than a call copies, or less.
const FEWEST_SHARED: u64 = 16 * PAGE_SIZE;

impl Transfer {
    /// Where both sides are alike, whole pages may be shared: bytes before the first.
    fn before_shared(&self) -> Option<u64> {
        let from = self.from?.address;
        let head = from.checked_next_multiple_of(PAGE_SIZE)? - from;
        let alike = (from ^ self.to.address).is_multiple_of(PAGE_SIZE);
        (alike && self.len.checked_sub(head)? >= FEWEST_SHARED).then_some(head)
    }

    /// How many bytes are copied at least, if all of these are there.
    fn least(&self) -> u64 {
        self.before_shared().filter(|head| *head > 0).unwrap_or(self.len.min(MAX_COPIED))
    }

    /// The first whole pages on both sides, if so many bytes have some.
    pub(crate) fn first_pages(&self, done: u64) -> Option<((SpaceName, u64), (SpaceName, u64))> {
        let from = self.from?;
        let whole = self.before_shared() == Some(0) && done >= PAGE_SIZE;
        whole.then_some(((from.space, from.address), (self.to.space, self.to.address)))
    }

    /// Whether a call may have copied so many.
    fn may_do(&self, done: u64) -> bool {
        let shared = (self.len / PAGE_SIZE).min(MAX_LENT.into()) * PAGE_SIZE;
        done == self.least() || self.before_shared() == Some(0) && done == shared
    }
}

fn fails(errno: Errno) -> Verdict {
    Verdict::Fails(vec![errno], None)
}

impl From<Errno> for Verdict {
    fn from(errno: Errno) -> Self {
        fails(errno)
    }
}

impl Model {
    /// What a call of somebody must come to now.
    pub(crate) fn judge(&self, me: &Process, call: &Call) -> Verdict {
        let judged = match call {
            Call::From(call) => self.judge_from(me, call),
            Call::To(call) => self.judge_to(me, call),
            Call::Fill(call) => self.judge_fill(me, call),
            Call::List(call) => self.judge_list(me, call),
            Call::Virtual(call) => self.judge_virtual(me, call),
            Call::Map(call) => self.judge_map(me, call),
            Call::Unmap(call) => self.judge_unmap(me, call.address),
            Call::Revoke(call) => Ok(Plan::Revoke(me.endpoint, call.grant)),
            Call::RevokeAt(call) => Ok(Plan::RevokeAt { owner: me.space, address: call.address }),
            Call::Table(call) => judge_table(me, call),
        };
        judged.map_or_else(|verdict| verdict, Verdict::Does)
    }

    fn side(&self, process: Endpoint, address: u64) -> Result<Side, Errno> {
        let space = self.process_named(process).ok_or(Errno::Inval)?.space;
        Ok(Side { process, space, address })
    }

    fn judge_from(&self, me: &Process, call: &SafeCopyFrom) -> Result<Plan, Verdict> {
        let SafeCopyFrom { granter, grant, offset, address, len, .. } = *call;
        self.judge_granted(me, &SafeCopy { source: granter, destination: Endpoint::SELF, grant, offset, address, len })
            .and_then(|transfer| self.check(&transfer, transfer.least()).map(|()| Plan::Copy(transfer)))
    }

    fn judge_to(&self, me: &Process, call: &SafeCopyTo) -> Result<Plan, Verdict> {
        let SafeCopyTo { granter, grant, offset, address, len, .. } = *call;
        self.judge_granted(me, &SafeCopy { source: Endpoint::SELF, destination: granter, grant, offset, address, len })
            .and_then(|transfer| self.check(&transfer, transfer.least()).map(|()| Plan::Copy(transfer)))
    }

    /// Whether a copy is granted; not, whether there is memory for it.
    fn judge_granted(&self, me: &Process, copy: &SafeCopy) -> Result<Transfer, Verdict> {
        let (granter, rights) = match (copy.source, copy.destination) {
            (Endpoint::SELF, Endpoint::SELF) => return Err(fails(Errno::Inval)),
            (granter, Endpoint::SELF) => (granter, GrantFlags::READ),
            (Endpoint::SELF, granter) => (granter, GrantFlags::WRITE),
            _ => return Err(fails(Errno::Inval)),
        };
        let wanted = Wanted { granter, id: copy.grant, offset: copy.offset, len: copy.len, rights };
        let granted = self.verify(me.endpoint, &wanted)?;
        if copy.len == 0 {
            return Err(fails(Errno::Dom));
        }
        let there = self.side(granted.owner, granted.address)?;
        let own = self.side(me.endpoint, copy.address)?;
        let (from, to) = if rights == GrantFlags::READ { (there, own) } else { (own, there) };
        let mark = granted.mark;
        Ok(Transfer { from: Some(from), to, len: copy.len, tries: mark.is_some(), mark })
    }

    fn judge_fill(&self, me: &Process, call: &SafeMemSet) -> Result<Plan, Verdict> {
        let byte = u8::try_from(call.byte).map_err(|_| fails(Errno::Inval))?;
        let SafeMemSet { granter, grant: id, offset, len, .. } = *call;
        let granted = self.verify(me.endpoint, &Wanted { granter, id, offset, len, rights: GrantFlags::WRITE })?;
        if len == 0 {
            return Err(fails(Errno::Dom));
        }
        let to = self.side(granted.owner, granted.address)?;
        let transfer = Transfer { from: None, to, len, tries: granted.mark.is_some(), mark: granted.mark };
        self.check(&transfer, transfer.least()).map(|()| Plan::Fill(transfer, byte))
    }

    fn judge_virtual(&self, me: &Process, call: &VirCopy) -> Result<Plan, Verdict> {
        let named = |process| if process == Endpoint::SELF { me.endpoint } else { process };
        let from = self.side(named(call.source), call.from)?;
        let to = self.side(named(call.destination), call.to)?;
        let flags = CopyFlags::from_bits(call.flags).ok_or(Errno::Inval)?;
        let tries = flags.contains(CopyFlags::TRY);
        if tries && !me.for_others {
            return Err(fails(Errno::Perm));
        }
        if call.len == 0 {
            return Err(fails(Errno::Dom));
        }
        let transfer = Transfer { from: Some(from), to, len: call.len, tries, mark: None };
        self.check(&transfer, transfer.least()).map(|()| Plan::Copy(transfer))
    }

    /// Whether there is memory for the first `step` bytes of a copy.
    fn check(&self, transfer: &Transfer, step: u64) -> Result<(), Verdict> {
        let sides = transfer.from.into_iter().map(|from| (from, false)).chain([(transfer.to, true)]);
        for (Side { process, space, address }, write) in sides {
            if self.has(space, address, step, write) {
                continue;
            }
            if transfer.tries {
                return Err(Verdict::Fails(vec![Errno::Fault], transfer.mark));
            }
            let beyond = !is_users(address, transfer.len);
            if beyond || write && self.denies(space, address, transfer.len.min(MAX_COPIED)) {
                return Err(fails(Errno::Fault));
            }
            return Err(Verdict::Waits(Need { process, address, len: transfer.len, write }));
        }
        Ok(())
    }

    /// The copy of a list that comes next; what is left of it.
    fn listed(&self, me: &Process, call: &VSafeCopy, at: &VCopied) -> Result<Transfer, Verdict> {
        const SIZE: u64 = size_of::<SafeCopy>() as u64;
        let address = call.address.checked_add(at.next * SIZE).ok_or(Errno::Fault)?;
        if !self.has(me.space, address, SIZE, false) {
            let need = Need { process: me.endpoint, address, len: SIZE, write: false };
            return Err(if is_users(address, SIZE) { Verdict::Waits(need) } else { fails(Errno::Fault) });
        }
        let bytes = self.read(me.space, address, SIZE).expect("it is there");
        let copy = SafeCopy::read_from_bytes(&bytes).expect("it is as long");
        let sides = (copy.source == Endpoint::SELF, copy.destination == Endpoint::SELF);
        if sides.0 != sides.1 && copy.len <= at.skip {
            return Err(fails(Errno::Dom));
        }
        let mut transfer = self.judge_granted(me, &copy)?;
        transfer.len -= at.skip;
        for side in transfer.from.iter_mut().chain([&mut transfer.to]) {
            side.address = side.address.checked_add(at.skip).ok_or(Errno::Fault)?;
        }
        Ok(transfer)
    }

    /// The first copy of a list decides.
    fn judge_list(&self, me: &Process, call: &VSafeCopy) -> Result<Plan, Verdict> {
        if !(1..=MAX_COPIES).contains(&call.count) || call.first >= call.count {
            return Err(fails(Errno::Inval));
        }
        let transfer = self.listed(me, call, &VCopied { next: call.first, skip: call.skip })?;
        self.check(&transfer, transfer.len.min(MAX_COPIED))?;
        Ok(Plan::List(*call))
    }

    fn judge_map(&self, me: &Process, call: &SafeMap) -> Result<Plan, Verdict> {
        let SafeMap { granter, grant: id, offset, address, len, write } = *call;
        let write = write != 0;
        let rights = GrantFlags::MAP | GrantFlags::READ | if write { GrantFlags::WRITE } else { GrantFlags::empty() };
        let granted = self.verify(me.endpoint, &Wanted { granter, id, offset, len, rights })?;
        let aligned = [granted.address, address, len].iter().all(|number| number.is_multiple_of(PAGE_SIZE));
        if !aligned || len == 0 {
            return Err(fails(Errno::Inval));
        }
        if !is_users(address, len) {
            return Err(fails(Errno::Fault));
        }
        let owner = self.side(granted.owner, granted.address)?;
        if owner.space == me.space {
            return Err(fails(Errno::Inval));
        }
        // One call looks at no more than it can map.
        let step = len.min(u64::from(MAX_LENT) * PAGE_SIZE);
        let mut errors = Vec::new();
        if self.mappings.iter().any(|m| m.borrows(owner.space, owner.address, step)) {
            errors.push(Errno::Perm);
        }
        if self.mappings.iter().any(|m| m.meets(me.space, address, step)) {
            errors.push(Errno::Busy);
        }
        let lent = self.mappings.iter().filter(|m| m.owner == owner.space).count();
        if errors.is_empty() && (lent >= self.room.1 || self.mappings.len() >= self.room.0) {
            errors.push(Errno::NoSpc);
        }
        if !errors.is_empty() {
            return Err(Verdict::Fails(errors, None));
        }
        let asks = |process, address, write| match granted.mark {
            Some(mark) => Verdict::Fails(vec![Errno::Fault], Some(mark)),
            None if is_users(address, len) => Verdict::Waits(Need { process, address, len, write }),
            None => fails(Errno::Fault),
        };
        if !self.has(owner.space, owner.address, step, write) {
            return Err(asks(granted.owner, owner.address, write));
        }
        if !self.has(me.space, address, step, true) {
            return Err(asks(me.endpoint, address, true));
        }
        let links = granted.links;
        let (borrower, to) = (me.space, address);
        Ok(Plan::Map(Mapping { owner: owner.space, from: owner.address, borrower, to, len: step, links }, write))
    }

    fn judge_unmap(&self, me: &Process, to: u64) -> Result<Plan, Verdict> {
        let borrower = me.space;
        let is_it = |m: &Mapping| m.borrower == borrower && m.to == to;
        if self.mappings.iter().any(is_it) { Ok(Plan::Unmap { borrower, to }) } else { Err(fails(Errno::Inval)) }
    }
}

fn judge_table(me: &Process, call: &SetGrant) -> Result<Plan, Verdict> {
    if !me.service {
        return Err(fails(Errno::Perm));
    }
    let SetGrant { address, count } = *call;
    let placed = address.is_multiple_of(64) && count <= MAX_GRANTS && is_users(address, count * 64);
    match count {
        0 => Ok(Plan::Table(Table { address: 0, count, owner: me.endpoint })),
        _ if placed => Ok(Plan::Table(Table { address, count, owner: me.endpoint })),
        _ => Err(fails(Errno::Inval)),
    }
}

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
