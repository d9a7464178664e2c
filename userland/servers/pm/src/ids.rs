//! Who a process is: user and group ids.

use crate::process::Flags;
use crate::table::Slot;
use crate::{Pm, Port};
use abi::{Endpoint, Errno};
use protocol::pm::{Groups, GroupsSet, LAST_ID, MAX_GROUPS, SetGroups};
use protocol::pmfiles::What;
use protocol::{Answer, Caller, Transport};

/// The user that may do everything.
pub(crate) const ROOT: u32 = 0;

/// The three forms of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    /// Whose the process is.
    pub(crate) real: u32,
    /// With whose rights it works.
    pub(crate) effective: u32,
    /// Which it can go back to.
    pub(crate) saved: u32,
}

impl Id {
    /// The same in all forms.
    pub(crate) const fn all(id: u32) -> Self {
        Self { real: id, effective: id, saved: id }
    }
}

/// The ids of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    /// Its user.
    pub(crate) user: Id,
    /// Its group.
    pub(crate) group: Id,
    /// How many supplementary groups it has.
    pub(crate) count: u32,
    /// These.
    pub(crate) groups: [u32; MAX_GROUPS],
}

impl Ids {
    /// Those of the system itself.
    pub(crate) const ROOT: Self = Self::of(ROOT, ROOT);

    /// A user in a group, without others.
    pub(crate) const fn of(user: u32, group: u32) -> Self {
        Self { user: Id::all(user), group: Id::all(group), count: 0, groups: [0; MAX_GROUPS] }
    }

    /// Whether its user may do everything.
    pub(crate) fn is_root(&self) -> bool {
        self.user.effective == ROOT
    }
}

/// Whether a number can be an id.
pub(crate) fn is_valid(id: u32) -> bool {
    id <= LAST_ID
}

impl Id {
    /// Whether somebody may take one with `setuid` and the like.
    fn may_be(&self, id: u32, is_root: bool) -> bool {
        is_root || id == self.real
    }

    /// The same for `seteuid` and the like.
    fn may_be_effective(&self, id: u32, is_root: bool) -> bool {
        is_root || id == self.real || id == self.saved
    }
}

impl Ids {
    /// Whether a process works with the rights of whoever started it.
    pub(crate) fn is_own(&self) -> bool {
        self.user.real == self.user.effective && self.group.real == self.group.effective
    }
}

/// What somebody wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// This user, for good.
    User(u32),
    /// This group.
    Group(u32),
    /// This user for a while.
    EffectiveUser(u32),
    /// This group.
    EffectiveGroup(u32),
}

impl Ids {
    /// What they are after that.
    ///
    /// # Errors
    /// `EINVAL` for what is no id, `EPERM` for one that is not to be had.
    fn after(mut self, wish: Wish) -> Result<Self, Errno> {
        let is_root = self.is_root();
        let (id, place, is_effective) = match wish {
            Wish::User(id) => (id, &mut self.user, false),
            Wish::Group(id) => (id, &mut self.group, false),
            Wish::EffectiveUser(id) => (id, &mut self.user, true),
            Wish::EffectiveGroup(id) => (id, &mut self.group, true),
        };
        if !is_valid(id) {
            return Err(Errno::Inval);
        }
        if is_effective && place.may_be_effective(id, is_root) {
            place.effective = id;
        } else if !is_effective && place.may_be(id, is_root) {
            *place = Id::all(id);
        } else {
            return Err(Errno::Perm);
        }
        Ok(self)
    }
}

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    pub(crate) fn do_ids(&self, from: Caller) -> Result<protocol::pm::Ids, Errno> {
        let slot = self.table.find(from.endpoint).ok_or(Errno::Srch)?;
        let process = &self.table[slot];
        let Ids { user, group, .. } = process.ids;
        Ok(protocol::pm::Ids {
            pid: process.pid,
            parent: self.table.pid(process.parent),
            group: process.group,
            session: process.session,
            uid: user.real,
            effective_uid: user.effective,
            saved_uid: user.saved,
            gid: group.real,
            effective_gid: group.effective,
            saved_gid: group.saved,
        })
    }

    /// Gives a process other ids. Answered when the file server knows.
    pub(crate) fn set_ids<R>(&mut self, from: Caller, wish: Wish, done: R) -> Answer<R> {
        let result = self.user(from.endpoint).and_then(|slot| Ok((slot, self.table[slot].ids.after(wish)?)));
        let (slot, ids) = match result {
            Ok(after) => after,
            Err(error) => return Answer::Fail(error),
        };
        let process = &mut self.table[slot];
        process.ids = ids;
        if !ids.is_own() {
            process.flags |= Flags::TAINTED;
        }
        let (what, id) = match wish {
            Wish::User(_) | Wish::EffectiveUser(_) => (What::SetUid, ids.user),
            Wish::Group(_) | Wish::EffectiveGroup(_) => (What::SetGid, ids.group),
        };
        let words = [id.real.into(), id.effective.into(), 0, 0];
        self.answer_when_told(slot, from, what, words, done)
    }

    pub(crate) fn do_setgroups(&mut self, from: Caller, call: &SetGroups) -> Answer<GroupsSet> {
        let slot = match self.user(from.endpoint) {
            Ok(slot) => slot,
            Err(error) => return Answer::Fail(error),
        };
        if !self.table[slot].ids.is_root() {
            return Answer::Fail(Errno::Perm);
        }
        let given = usize::try_from(call.count).ok().and_then(|count| call.groups.get(..count));
        let Some(given) = given.filter(|groups| groups.iter().all(|id| is_valid(*id))) else {
            return Answer::Fail(Errno::Inval);
        };
        let mut groups = [0; MAX_GROUPS];
        groups[..given.len()].copy_from_slice(given);
        let ids = &mut self.table[slot].ids;
        (ids.count, ids.groups) = (call.count, groups);
        self.answer_when_told(slot, from, What::SetGroups, [call.count.into(), 0, 0, 0], GroupsSet {})
    }

    pub(crate) fn do_getgroups(&self, from: Caller) -> Result<Groups, Errno> {
        let slot = self.table.find(from.endpoint).ok_or(Errno::Srch)?;
        let Ids { count, groups, .. } = self.table[slot].ids;
        Ok(Groups { count, groups })
    }

    /// Answers somebody when the file server knows what has changed; at once if there is none.
    fn answer_when_told<R>(&mut self, slot: Slot, from: Caller, what: What, words: [u64; 4], done: R) -> Answer<R> {
        self.table[slot].tag = from.tag;
        if self.tell_files(slot, what, Endpoint::NONE, words) { Answer::Later } else { Answer::Reply(done) }
    }
}
