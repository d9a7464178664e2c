//! Interrupt hooks: who is told about which interrupt line.
//!
//! A hook belongs to a process. An interrupt turns into a notification to the owner of each hook on the line. A hook may
//! *hold* its line: after an interrupt until its owner says that the device has been seen to, or because the owner
//! switched it off. A line is unmasked if and only if there are hooks on it and none of them holds it, so drivers that
//! share a line wait for each other.

use crate::devices::Devices;
use crate::lines::Trigger;
use crate::{Kernel, Machine};
use abi::{Endpoint, Errno, PrivilegeId};
use arrayvec::ArrayVec;

/// Number of hooks in the system.
pub const MAX_HOOKS: usize = 64;
/// The highest number that an owner can give to a hook.
pub const LAST_NOTIFY_ID: u8 = 31;

/// What follows an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The line is held until [`Hooks::enable`].
    Hold,
    /// The line may interrupt again at once. For edges only: a level would interrupt for ever, and its driver never run.
    Reenable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hook {
    owner: Endpoint,
    line: u8,
    policy: Policy,
    /// The owner's own number for it.
    id: u8,
    holds: bool,
}

/// Somebody to be told of an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Who.
    pub owner: Endpoint,
    /// The owner's number for the hook, up to [`LAST_NOTIFY_ID`].
    pub id: u8,
}

/// All hooks. They have numbers from 1 on. Methods that take a number fail with [`Errno::Inval`] if there is no such hook
/// and with [`Errno::Perm`] if it is somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks {
    hooks: [Option<Hook>; MAX_HOOKS],
}

impl Hooks {
    /// No hooks; all lines masked.
    pub const NONE: Self = Self { hooks: [None; MAX_HOOKS] };

    /// Sets a hook on a line, or sets the owner's hook of the same id anew, whatever line it was on; returns its number.
    /// It does not hold the line. Whether the owner may use the line, its privileges say.
    ///
    /// # Errors
    /// [`Errno::Inval`] for an id that is out of range, a line that the machine does not have, or [`Policy::Reenable`] for
    /// a line with levels; [`Errno::NoSpc`] if there is no hook left.
    pub fn set_policy(
        &mut self,
        machine: &mut impl Devices,
        owner: Endpoint,
        line: u8,
        policy: Policy,
        id: u8,
    ) -> Result<u8, Errno> {
        let trigger = machine.trigger(line).ok_or(Errno::Inval)?;
        if id > LAST_NOTIFY_ID || (policy, trigger) == (Policy::Reenable, Trigger::Level) {
            return Err(Errno::Inval);
        }
        let is_same = |hook: &Option<Hook>| hook.is_some_and(|h| h.owner == owner && h.id == id);
        let same = self.hooks.iter().position(is_same);
        let index = same.or_else(|| self.hooks.iter().position(Option::is_none)).ok_or(Errno::NoSpc)?;
        self.replace(machine, index, None);
        self.replace(machine, index, Some(Hook { owner, line, policy, id, holds: false }));
        Ok(index as u8 + 1)
    }

    /// Takes a hook away.
    ///
    /// # Errors
    /// See [`Hooks`].
    pub fn remove(&mut self, machine: &mut impl Devices, owner: Endpoint, number: u64) -> Result<(), Errno> {
        let (index, _) = self.find(owner, number)?;
        self.replace(machine, index, None);
        Ok(())
    }

    /// Ends the hold of a hook on its line.
    ///
    /// # Errors
    /// See [`Hooks`].
    pub fn enable(&mut self, machine: &mut impl Devices, owner: Endpoint, number: u64) -> Result<(), Errno> {
        let (index, hook) = self.find(owner, number)?;
        self.replace(machine, index, Some(Hook { holds: false, ..hook }));
        Ok(())
    }

    /// Lets a hook hold its line.
    ///
    /// # Errors
    /// See [`Hooks`].
    pub fn disable(&mut self, machine: &mut impl Devices, owner: Endpoint, number: u64) -> Result<(), Errno> {
        let (index, hook) = self.find(owner, number)?;
        self.replace(machine, index, Some(Hook { holds: true, ..hook }));
        Ok(())
    }

    /// Takes all hooks of a process away that ends.
    pub fn remove_all(&mut self, machine: &mut impl Devices, owner: Endpoint) {
        for index in 0..MAX_HOOKS {
            if self.hooks[index].is_some_and(|hook| hook.owner == owner) {
                self.replace(machine, index, None);
            }
        }
    }

    /// A line has interrupted: returns whom to tell. Nobody, and the line is masked, if it has no hooks. The interrupt may
    /// be acknowledged afterwards, not before: a level that is not masked yet would come again.
    pub fn interrupt(&mut self, machine: &mut impl Devices, line: u8) -> ArrayVec<Notice, MAX_HOOKS> {
        let mut notices = ArrayVec::new();
        for hook in self.hooks.iter_mut().flatten().filter(|hook| hook.line == line) {
            hook.holds |= hook.policy == Policy::Hold;
            notices.push(Notice { owner: hook.owner, id: hook.id });
        }
        if !self.is_open(line) {
            machine.mask_line(line);
        }
        notices
    }

    /// Whether a line is not masked.
    pub fn is_open(&self, line: u8) -> bool {
        let mut on_line = self.hooks.iter().flatten().filter(|hook| hook.line == line).peekable();
        on_line.peek().is_some() && on_line.all(|hook| !hook.holds)
    }

    fn find(&self, owner: Endpoint, number: u64) -> Result<(usize, Hook), Errno> {
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or(Errno::Inval)?;
        let hook = self.hooks.get(index).copied().flatten().ok_or(Errno::Inval)?;
        if hook.owner == owner { Ok((index, hook)) } else { Err(Errno::Perm) }
    }

    /// Puts a hook at an empty place, takes it away, or changes it but for its line; then masks or unmasks that line, if
    /// that makes a difference.
    fn replace(&mut self, machine: &mut impl Devices, index: usize, hook: Option<Hook>) {
        let Some(Hook { line, .. }) = hook.or(self.hooks[index]) else { return };
        let was_open = self.is_open(line);
        self.hooks[index] = hook;
        match (was_open, self.is_open(line)) {
            (true, false) => machine.mask_line(line),
            (false, true) => machine.unmask_line(line),
            _ => {}
        }
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// An interrupt line of the machine has interrupted: those who have hooks are notified.
    pub fn interrupt(&mut self, machine: &mut M, line: u8) {
        let notices = self.hooks.interrupt(machine, line);
        if notices.is_empty() {
            machine.log(format_args!("nobody handles interrupt line {line}: masked"));
        }
        for Notice { owner, id } in notices {
            if let Some(slot) = self.lookup(owner) {
                self.privileges_mut(slot).interrupts |= 1 << id;
                self.post(machine, PrivilegeId::HARDWARE, slot);
            }
        }
    }
}
