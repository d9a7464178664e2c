//! Who a process is: user and group ids.

use protocol::pm::{LAST_ID, MAX_GROUPS};

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
