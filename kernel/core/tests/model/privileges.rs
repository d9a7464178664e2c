//! Privileges, and what is pending for those who have them.

use super::*;
use abi::{PRIVILEGES, PrivilegeFlags, PrivilegeSpec, TrapMask};
use std::collections::BTreeSet;

/// Privilege ids.
pub(super) const ASYNCM: usize = 0;
pub(super) const CLOCK: usize = 2;
pub(super) const SYSTEM: usize = 3;
pub(super) const HARDWARE: usize = 4;
pub(crate) const USER: usize = 5;
pub(crate) const FIRST_STATIC: usize = 6;

/// What goes along with a program.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    pub(crate) traps: u32,
    /// A bit for each privilege id.
    pub(crate) sends: u64,
    pub(crate) calls: u64,
    pub(crate) flags: PrivilegeFlags,
    pub(super) manager: Endpoint,
    pub(super) backup: Endpoint,
    /// Who registered the table of asynchronous messages, its address and the number of its entries.
    pub(super) table: Option<(Endpoint, u64, u64)>,
    pub(super) filters: Vec<Filter>,
}

/// What stays with the id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mailbox {
    pub(super) notified_by: BTreeSet<usize>,
    pub(super) async_from: BTreeSet<usize>,
    pub(super) interrupts: u64,
    pub(super) signals: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Privileges {
    pub(crate) owner: Option<Endpoint>,
    pub(crate) authority: Authority,
    pub(super) mailbox: Mailbox,
}

impl Privileges {
    fn free() -> Self {
        let nothing = Authority {
            traps: 0,
            sends: 0,
            calls: 0,
            flags: PrivilegeFlags::empty(),
            manager: Endpoint::NONE,
            backup: Endpoint::NONE,
            table: None,
            filters: Vec::new(),
        };
        Self { owner: None, authority: nothing, mailbox: Mailbox::default() }
    }
}

pub(super) fn initial_privileges() -> Vec<Privileges> {
    let mut ids = vec![Privileges::free(); PRIVILEGES];
    ids[USER].authority.traps = TrapMask::SENDREC.bits();
    ids[USER].authority.flags = PrivilegeFlags::PREEMPTIBLE | PrivilegeFlags::BILLABLE;
    ids
}

impl Model {
    pub(super) fn make_root(&mut self, slot: usize) {
        let id = FIRST_STATIC + slot;
        self.slots[slot].id = id;
        self.ids[id].owner = Some(self.root);
        self.ids[id].authority = Authority {
            traps: TrapMask::all().bits(),
            sends: !(1 << id),
            calls: !0,
            flags: PrivilegeFlags::SERVICE | PrivilegeFlags::PREEMPTIBLE | PrivilegeFlags::ROOT,
            manager: Endpoint::SELF,
            ..Privileges::free().authority
        };
        self.release(slot, Rts::NO_PRIV);
    }

    pub(crate) fn authority(&self, i: usize) -> &Authority {
        &self.ids[self.slots[i].id].authority
    }

    pub(super) fn authority_mut(&mut self, i: usize) -> &mut Authority {
        &mut self.ids[self.slots[i].id].authority
    }

    pub(super) fn mailbox(&self, i: usize) -> &Mailbox {
        &self.ids[self.slots[i].id].mailbox
    }

    pub(super) fn mailbox_mut(&mut self, i: usize) -> &mut Mailbox {
        &mut self.ids[self.slots[i].id].mailbox
    }

    pub(crate) fn is_service(&self, i: usize) -> bool {
        self.authority(i).flags.contains(PrivilegeFlags::SERVICE)
    }

    pub(crate) fn may_send(&self, me: usize, to: usize) -> bool {
        self.authority(me).sends >> self.slots[to].id & 1 != 0
    }

    pub(super) fn owner_of(&self, id: usize) -> Option<Endpoint> {
        match id {
            ASYNCM => Some(Endpoint::ASYNCM),
            CLOCK => Some(Endpoint::CLOCK),
            SYSTEM => Some(Endpoint::SYSTEM),
            HARDWARE => Some(Endpoint::HARDWARE),
            _ => self.ids[id].owner,
        }
    }

    /// Who may have calls about privileges made for him, by name.
    pub(super) fn subject(&self, me: usize, process: Endpoint) -> Result<usize, Errno> {
        if !self.is_service(me) {
            return Err(Errno::Perm);
        }
        if process == Endpoint::SELF { Ok(me) } else { self.live(process).ok_or(Errno::Inval) }
    }

    pub(super) fn allow(&mut self, slot: usize) -> Result<(), Errno> {
        self.must_wait(slot)?;
        self.release(slot, Rts::NO_PRIV);
        Ok(())
    }

    pub(super) fn disallow(&mut self, slot: usize) -> Result<(), Errno> {
        if self.must_wait(slot).is_ok() {
            return Err(Errno::Perm);
        }
        self.hold(slot, Rts::NO_PRIV);
        Ok(())
    }

    fn must_wait(&self, slot: usize) -> Result<(), Errno> {
        if self.program(slot).is(Rts::NO_PRIV) { Ok(()) } else { Err(Errno::Perm) }
    }

    /// Gives it the static id, or the first dynamic one that is free.
    pub(super) fn set_sys(&mut self, slot: usize, id: Option<u32>, spec: &PrivilegeSpec) -> Result<usize, Errno> {
        let id = match id {
            Some(id) if id as usize >= PRIVILEGES => return Err(Errno::Inval),
            id => id.map(|id| id as usize),
        };
        self.must_wait(slot)?;
        self.check_spec(spec)?;
        let statics = FIRST_STATIC..FIRST_STATIC + self.boot_programs;
        let is_free = |id: usize| self.ids[id].owner.is_none_or(|owner| owner == self.slots[slot].endpoint);
        let id = match id {
            Some(id) if !statics.contains(&id) => return Err(Errno::Inval),
            Some(id) if !is_free(id) => return Err(Errno::Busy),
            Some(id) => id,
            None => (statics.end..PRIVILEGES).find(|id| is_free(*id)).ok_or(Errno::NoSpc)?,
        };
        let dynamic = if statics.contains(&id) { PrivilegeFlags::empty() } else { PrivilegeFlags::DYNAMIC };
        let manager = self.manager_of(slot);
        self.make_user(slot);
        self.slots[slot].id = id;
        self.ids[id].owner = Some(self.slots[slot].endpoint);
        self.ids[id].authority.flags = PrivilegeFlags::SERVICE | dynamic;
        self.apply(slot, spec);
        self.meet(slot, manager);
        Ok(id)
    }

    pub(super) fn set_user(&mut self, slot: usize) -> Result<(), Errno> {
        self.must_wait(slot)?;
        let manager = self.manager_of(slot);
        self.make_user(slot);
        self.meet(slot, manager);
        Ok(())
    }

    /// It has no filters, and those of others may take it for something else.
    fn meet(&mut self, slot: usize, manager: Option<usize>) {
        self.catch_up(slot);
        let p = self.program(slot);
        if p.is(Rts::SENDING) {
            let to = self.live(p.send_to).expect("somebody to send to");
            self.catch_up(to);
        }
        self.change_manager(slot, manager);
        self.hand_on(self.slots[slot].endpoint);
    }

    /// Ends a structure of its own, if it has one: nobody may send to that id, and nothing of it is pending.
    pub(super) fn make_user(&mut self, slot: usize) {
        let id = self.slots[slot].id;
        if id == USER {
            return;
        }
        self.ids[id] = Privileges::free();
        self.alarms[id] = None;
        self.has_hook &= self.slots[slot].endpoint != self.root;
        self.slots[slot].id = USER;
        self.slots[slot].hears = false;
        self.forget_pending(id);
        // The root may send to whoever gets the id next, too.
        for other in self.ids.iter_mut().filter(|other| !other.authority.flags.contains(PrivilegeFlags::ROOT)) {
            other.authority.sends &= !(1 << id);
        }
    }

    pub(super) fn forget_pending(&mut self, id: usize) {
        for Privileges { mailbox, .. } in &mut self.ids {
            mailbox.notified_by.remove(&id);
            mailbox.async_from.remove(&id);
        }
    }

    pub(super) fn update_sys(&mut self, me: usize, process: Endpoint, spec: &PrivilegeSpec) -> Result<(), Errno> {
        if process == Endpoint::NONE {
            if !self.authority(me).flags.contains(PrivilegeFlags::ROOT) {
                return Err(Errno::Perm);
            }
            self.check_spec(spec)?;
            if spec.manager == Endpoint::SELF {
                return Err(Errno::Inval);
            }
            let sends = self.existing(spec.sends);
            let managers: Vec<_> = (0..SLOTS).map(|i| self.manager_of(i)).collect();
            let users = &mut self.ids[USER].authority;
            (users.traps, users.sends, users.calls) = (spec.traps, sends, spec.calls);
            (users.manager, users.backup) = (spec.manager, spec.backup);
            (0..SLOTS).for_each(|i| self.change_manager(i, managers[i]));
            return Ok(());
        }
        let slot = self.subject(me, process)?;
        if !self.is_service(slot) {
            return Err(Errno::Perm);
        }
        self.check_spec(spec)?;
        let manager = self.manager_of(slot);
        self.apply(slot, spec);
        self.change_manager(slot, manager);
        Ok(())
    }

    fn apply(&mut self, slot: usize, spec: &PrivilegeSpec) {
        let id = self.slots[slot].id;
        let sends = self.existing(spec.sends) & !(1 << id);
        let flags = PrivilegeFlags::from_bits_retain(spec.flags);
        let own = &mut self.ids[id].authority;
        (own.traps, own.sends, own.calls) = (spec.traps, sends, spec.calls);
        (own.manager, own.backup) = (spec.manager, spec.backup);
        own.flags = own.flags & !PrivilegeFlags::SETTABLE | flags;
        if flags.contains(PrivilegeFlags::PAGER) {
            self.pager = self.slots[slot].endpoint;
        }
    }

    fn check_spec(&self, spec: &PrivilegeSpec) -> Result<(), Errno> {
        let is_none = |endpoint| !self.live(endpoint).is_some_and(|slot| self.is_service(slot));
        let bad = spec.manager != Endpoint::SELF && is_none(spec.manager)
            || spec.backup != Endpoint::NONE && is_none(spec.backup)
            || spec.traps & !TrapMask::all().bits() != 0
            || spec.flags & !PrivilegeFlags::SETTABLE.bits() != 0
            || spec.reserved != 0;
        if bad { Err(Errno::Inval) } else { Ok(()) }
    }

    /// The bits of ids that somebody has.
    fn existing(&self, mask: u64) -> u64 {
        let used = |id: &usize| *id == USER || self.ids[*id].owner.is_some();
        (USER..PRIVILEGES).filter(used).fold(0, |all, id| all | 1 << id) & mask
    }
}
