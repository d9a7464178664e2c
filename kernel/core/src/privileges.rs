//! Privilege structures: who may do what, and what is pending for him.

use crate::filters::FilterChain;
use crate::grants::FoundPage;
use crate::process::Pending;
use crate::ranges::Resources;
use crate::rights::Used;
use crate::{Kernel, Machine, Process, Rts, Slot};
use abi::boot::BootFlags;
use abi::{Endpoint, Errno, PRIVILEGES, PrivilegeFlags, PrivilegeId, PrivilegeSpec, TrapMask};

/// The privilege structures, by their ids.
pub type PrivilegeTable = [Privileges; PRIVILEGES];

/// Where a service keeps a table in its own memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserTable {
    pub(crate) address: u64,
    /// Number of entries; 0 if there is no table.
    pub(crate) count: u64,
    /// Who registered it: after a live update that is not the owner of the structure, and the table is in transition.
    pub(crate) owner: Endpoint,
}

impl UserTable {
    pub(crate) const NONE: Self = Self::empty(Endpoint::NONE);

    /// A table without entries.
    pub(crate) const fn empty(owner: Endpoint) -> Self {
        Self { address: 0, count: 0, owner }
    }
}

/// A privilege structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// Traps that it allows.
    pub traps: TrapMask,
    /// Privilege ids that it may send to, a bit each.
    pub sends: u64,
    /// Kernel calls, a bit each.
    pub calls: u64,
    /// What kind of process has it.
    pub flags: PrivilegeFlags,
    /// Whose notifications have not been received yet, a bit for each privilege id.
    pub(crate) notified_by: u64,
    /// Who has entries for it in a table of asynchronous messages, perhaps; a bit for each privilege id.
    pub(crate) async_from: u64,
    /// Interrupts that came: told, and cleared, with the notification from [`Endpoint::HARDWARE`].
    pub(crate) interrupts: u64,
    /// Signals of the kernel: the same with [`Endpoint::SYSTEM`].
    pub(crate) signals: u64,
    /// Whose structure it is; [`Endpoint::NONE`] if it is free, or shared.
    pub(crate) owner: Endpoint,
    /// Who gets the signals of its processes; [`Endpoint::SELF`] for themselves.
    pub(crate) manager: Endpoint,
    /// Who gets them if that one cannot.
    pub(crate) backup: Endpoint,
    pub(crate) init_flags: u32,
    /// The registered table of asynchronous messages.
    pub(crate) async_table: UserTable,
    /// The registered table of the service's state.
    pub(crate) state_table: UserTable,
    /// The registered table of its grants.
    pub(crate) grant_table: UserTable,
    /// Where a page of it was found.
    pub(crate) grant_page: FoundPage,
    /// The hardware that its process may use.
    pub(crate) resources: Resources,
    /// What its process does not receive for the time being.
    pub(crate) filters: FilterChain,
    /// What of all this it has used, if that is asked for.
    pub(crate) used: Used,
}

impl Privileges {
    /// A structure that is not in use, or was just taken: allows nothing, and nothing is pending.
    pub const FREE: Self = Self {
        traps: TrapMask::empty(),
        sends: 0,
        calls: 0,
        flags: PrivilegeFlags::empty(),
        notified_by: 0,
        async_from: 0,
        interrupts: 0,
        signals: 0,
        owner: Endpoint::NONE,
        manager: Endpoint::NONE,
        backup: Endpoint::NONE,
        init_flags: 0,
        async_table: UserTable::NONE,
        state_table: UserTable::NONE,
        grant_table: UserTable::NONE,
        grant_page: FoundPage::NONE,
        resources: Resources::NONE,
        filters: FilterChain::EMPTY,
        used: Used::NOTHING,
    };

    /// That of all users, before anybody has said what they may do: they may call those who let them, and nothing else.
    pub(crate) fn user() -> Self {
        Self { traps: TrapMask::SENDREC, flags: PrivilegeFlags::PREEMPTIBLE | PrivilegeFlags::BILLABLE, ..Self::FREE }
    }

    /// That of the root system process, which may do everything but send to itself, and manages itself.
    fn root(owner: Endpoint, id: PrivilegeId) -> Self {
        Self {
            traps: TrapMask::all(),
            sends: !id.bit(),
            calls: !0,
            flags: PrivilegeFlags::SERVICE.union(PrivilegeFlags::PREEMPTIBLE).union(PrivilegeFlags::ROOT),
            manager: Endpoint::SELF,
            ..Self::of(owner)
        }
    }

    /// That of a service which may do nothing yet.
    fn of(owner: Endpoint) -> Self {
        Self { flags: PrivilegeFlags::SERVICE, owner, grant_table: UserTable::empty(owner), ..Self::FREE }
    }
}

impl<M: Machine> Kernel<'_, M> {
    pub(crate) fn privileges(&self, slot: Slot) -> &Privileges {
        &self.privileges[self.process(slot).privilege_id().index()]
    }

    pub(crate) fn privileges_mut(&mut self, slot: Slot) -> &mut Privileges {
        &mut self.privileges[self.process(slot).privilege_id().index()]
    }

    /// A privilege structure, by its id.
    pub fn privileges_of(&self, id: PrivilegeId) -> &Privileges {
        &self.privileges[id.index()]
    }

    /// Whether the process is a service: has a structure of its own.
    pub(crate) fn is_service(&self, slot: Slot) -> bool {
        self.privileges(slot).flags.contains(PrivilegeFlags::SERVICE)
    }

    /// The name that has a privilege id now: its owner's, or one in the kernel's range. `None` if nobody has it.
    pub(crate) fn owner_of(&self, id: PrivilegeId) -> Option<Endpoint> {
        let owner = self.privileges[id.index()].owner;
        id.kernel_name().or((owner != Endpoint::NONE).then_some(owner))
    }

    /// Makes a boot program the root system process: it may do everything, and run.
    pub(crate) fn make_root(&mut self, slot: Slot, place: usize) {
        if let Some(id) = PrivilegeId::of_boot_program(place) {
            let endpoint = self.process(slot).endpoint;
            self.privileges[id.index()] = Privileges::root(endpoint, id);
            self.process_mut(slot).set_privilege_id(id);
            self.derive(slot);
            self.root = endpoint;
            self.unblock(slot, Rts::NO_PRIV);
        }
    }

    /// Lets a process run that waits for its privileges.
    pub(crate) fn allow(&mut self, slot: Slot) -> Result<(), Errno> {
        if !self.process(slot).rts.contains(Rts::NO_PRIV) {
            return Err(Errno::Perm);
        }
        self.unblock(slot, Rts::NO_PRIV);
        Ok(())
    }

    /// Makes it wait.
    pub(crate) fn disallow(&mut self, machine: &mut M, slot: Slot) -> Result<(), Errno> {
        if self.process(slot).rts.contains(Rts::NO_PRIV) {
            return Err(Errno::Perm);
        }
        self.block(machine, slot, Rts::NO_PRIV);
        Ok(())
    }

    /// Lets `to` run instead of `me`.
    pub(crate) fn yield_to(&mut self, machine: &mut M, me: Slot, to: Slot) -> Result<(), Errno> {
        self.allow(to)?;
        self.block(machine, me, Rts::NO_PRIV);
        Ok(())
    }

    /// Gives a process that waits a structure of its own, with the id asked for or with any.
    pub(crate) fn set_service(
        &mut self,
        machine: &mut M,
        slot: Slot,
        id: Option<PrivilegeId>,
        spec: &PrivilegeSpec,
    ) -> Result<PrivilegeId, Errno> {
        let p = self.process(slot);
        if !p.rts.contains(Rts::NO_PRIV) {
            return Err(Errno::Perm);
        }
        let (traps, flags) = self.decode(spec)?;
        let own = p.privilege_id();
        let is_free = |id: PrivilegeId| id == own || self.privileges_of(id).owner == Endpoint::NONE;
        let (id, kind) = match id {
            Some(id) if !self.is_static(id) => return Err(Errno::Inval),
            Some(id) if is_free(id) => (id, PrivilegeFlags::empty()),
            Some(_) => return Err(Errno::Busy),
            None => {
                let free = PrivilegeId::of_services().find(|&id| !self.is_static(id) && is_free(id));
                (free.ok_or(Errno::NoSpc)?, PrivilegeFlags::DYNAMIC)
            }
        };
        let manager = self.manager_of(slot);
        self.free_privileges(machine, slot);
        let endpoint = self.process(slot).endpoint;
        let fresh = Privileges::of(endpoint);
        self.privileges[id.index()] = Privileges { flags: fresh.flags | kind, ..fresh };
        self.process_mut(slot).set_privilege_id(id);
        self.apply(slot, spec, traps, flags);
        self.meet(machine, slot, manager);
        Ok(id)
    }

    /// Gives a process that waits the privileges of users.
    pub(crate) fn set_user(&mut self, machine: &mut M, slot: Slot) -> Result<(), Errno> {
        if !self.process(slot).rts.contains(Rts::NO_PRIV) {
            return Err(Errno::Perm);
        }
        let manager = self.manager_of(slot);
        self.free_privileges(machine, slot);
        self.meet(machine, slot, manager);
        Ok(())
    }

    /// A process is of another sort now, and has no filters. So it may take a message that it did not take before, and so may the
    /// one that it sends to. The manager that it had may be another one now.
    fn meet(&mut self, machine: &mut M, slot: Slot, manager: Option<Slot>) {
        self.catch_up(machine, slot);
        let p = self.process(slot);
        if p.rts.contains(Rts::SENDING) {
            self.catch_up(machine, Slot::of(p.send_to));
        }
        self.change_manager(machine, slot, manager);
        // And it may have become the manager of others, or is it no more.
        self.hand_on_signals(machine, self.process(slot).endpoint);
    }

    /// Changes what all users may do.
    pub(crate) fn update_users(&mut self, machine: &mut M, me: Slot, spec: &PrivilegeSpec) -> Result<(), Errno> {
        if !self.privileges(me).flags.contains(PrivilegeFlags::ROOT) {
            return Err(Errno::Perm);
        }
        let (traps, _) = self.decode(spec)?;
        if spec.manager == Endpoint::SELF {
            return Err(Errno::Inval);
        }
        let sends = self.existing(spec.sends);
        let alive = self.alive.clone();
        // One manager for all of them.
        let user = alive.iter().find(|slot| self.process(*slot).privilege_id == PrivilegeId::USER);
        let manager = user.and_then(|slot| self.manager_of(slot));
        let users = &mut self.privileges[PrivilegeId::USER.index()];
        (users.traps, users.sends, users.calls) = (traps, sends, spec.calls);
        (users.manager, users.backup) = (spec.manager, spec.backup);
        self.derive_users();
        for slot in alive.iter() {
            if self.process(slot).privilege_id == PrivilegeId::USER {
                self.change_manager(machine, slot, manager);
            }
        }
        Ok(())
    }

    /// Changes what a service may do.
    pub(crate) fn update_service(&mut self, machine: &mut M, slot: Slot, spec: &PrivilegeSpec) -> Result<(), Errno> {
        if !self.is_service(slot) {
            return Err(Errno::Perm);
        }
        let (traps, flags) = self.decode(spec)?;
        let manager = self.manager_of(slot);
        self.apply(slot, spec, traps, flags);
        self.change_manager(machine, slot, manager);
        Ok(())
    }

    fn apply(&mut self, slot: Slot, spec: &PrivilegeSpec, traps: TrapMask, flags: PrivilegeFlags) {
        let id = self.process(slot).privilege_id();
        let sends = self.existing(spec.sends) & !id.bit();
        let p = &mut self.privileges[id.index()];
        p.sends = sends;
        p.traps = traps;
        p.calls = spec.calls;
        p.flags = p.flags & !PrivilegeFlags::SETTABLE | flags;
        p.init_flags = spec.init_flags;
        p.manager = spec.manager;
        p.backup = spec.backup;
        self.derive(slot);
        if flags.contains(PrivilegeFlags::PAGER) {
            self.pager = self.process(slot).endpoint;
        }
    }

    fn decode(&self, spec: &PrivilegeSpec) -> Result<(TrapMask, PrivilegeFlags), Errno> {
        // Signals are told by notifications, which wait for services only.
        let is_service = |endpoint| self.lookup(endpoint).is_some_and(|slot| self.is_service(slot));
        let manager = spec.manager == Endpoint::SELF || is_service(spec.manager);
        let backup = spec.backup == Endpoint::NONE || is_service(spec.backup);
        let valid = manager && backup && spec.reserved == 0;
        spec.traps().zip(spec.flags()).filter(|_| valid).ok_or(Errno::Inval)
    }

    /// Sets what a process keeps of its privileges, and of what else decides whether it may take the fast path.
    pub(crate) fn derive(&mut self, slot: Slot) {
        let own = self.privileges(slot);
        let (traps, sends, calls, flags) = (own.traps, own.sends, own.calls, own.flags);
        let plain_traps = self.plain_traps(slot, traps, flags);
        let p = self.process_mut(slot);
        p.plain_traps = plain_traps;
        p.sends = sends;
        p.calls = calls;
        p.urgency = if flags.contains(PrivilegeFlags::PREEMPTIBLE) { p.priority } else { 0 };
    }

    /// The traps that a process may use and that need nothing special. Users do not notify.
    pub(crate) fn plain_traps(&self, slot: Slot, traps: TrapMask, flags: PrivilegeFlags) -> TrapMask {
        match flags.contains(PrivilegeFlags::SERVICE) {
            _ if self.is_special(slot) => TrapMask::empty(),
            true => traps,
            false => traps - TrapMask::NOTIFY,
        }
    }

    /// The same for all that share the privileges of users.
    fn derive_users(&mut self) {
        let alive = self.alive.clone();
        for slot in alive.iter() {
            if self.process(slot).privilege_id == PrivilegeId::USER {
                self.derive(slot);
            }
        }
    }

    /// The ids of a mask that belong to somebody: a bit for an id that is free would go to whoever gets that next.
    fn existing(&self, mask: u64) -> u64 {
        let used = |id: &PrivilegeId| *id == PrivilegeId::USER || self.privileges_of(*id).owner != Endpoint::NONE;
        let all = PrivilegeId::of_services().chain([PrivilegeId::USER]);
        mask & all.filter(used).fold(0, |mask, id| mask | id.bit())
    }

    /// Whether an id goes with a place that the boot table has; the others are dynamic.
    fn is_static(&self, id: PrivilegeId) -> bool {
        let programs = (0..self.boot.len()).take_while(|place| !self.boot[*place].has(BootFlags::FILE));
        programs.into_iter().any(|place| PrivilegeId::of_boot_program(place) == Some(id))
    }

    /// Takes a process's own structure from it, if it has one, with everything that is pending in it; it has that of users then.
    pub(crate) fn free_privileges(&mut self, machine: &mut M, slot: Slot) {
        let id = self.process(slot).privilege_id();
        if id == PrivilegeId::USER {
            return;
        }
        self.hooks.remove_all(machine, self.process(slot).endpoint);
        self.clear_filters(slot);
        self.alarms.cancel(id.index());
        self.forget_pending(id);
        self.refusals.forget(id);
        self.privileges[id.index()] = Privileges::FREE;
        let p = self.process_mut(slot);
        p.set_privilege_id(PrivilegeId::USER);
        p.pending.remove(Pending::MESSAGES);
        self.derive(slot);
        // The id may be somebody else's soon. The root system process may send to that one too.
        for other in PrivilegeId::of_services().chain([PrivilegeId::USER]) {
            let it = &mut self.privileges[other.index()];
            if it.sends & id.bit() == 0 || it.flags.contains(PrivilegeFlags::ROOT) {
                continue;
            }
            it.sends &= !id.bit();
            it.used.sends &= !id.bit();
            let owner = it.owner;
            match self.lookup(owner) {
                Some(slot) => self.derive(slot),
                None => self.derive_users(),
            }
        }
    }

    /// Nothing that came from `id` is pending with anybody any more.
    pub(crate) fn forget_pending(&mut self, id: PrivilegeId) {
        for other in &mut self.privileges[..] {
            other.notified_by &= !id.bit();
            other.async_from &= !id.bit();
        }
    }
}

impl<M: Machine> Process<M> {
    /// The id of its privileges.
    pub fn privilege_id(&self) -> PrivilegeId {
        self.privilege_id
    }
}
