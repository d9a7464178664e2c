//! Interrupt hooks.

use crate::support::{A, B, Done, LEVEL_LINES, TestDevices};
use abi::{Endpoint, Errno};
use kernel_core::irq::{Hooks, LAST_NOTIFY_ID, MAX_HOOKS, Notice, Policy};
use proptest::prelude::*;

const EDGE: u8 = 1;
const LEVEL: u8 = LEVEL_LINES.start;

/// Hooks on a machine.
struct Setup {
    hooks: Hooks,
    machine: TestDevices,
}

impl Setup {
    fn new() -> Self {
        Self { hooks: Hooks::NONE, machine: TestDevices::default() }
    }

    fn hold(&mut self, owner: Endpoint, line: u8, id: u8) -> Result<u8, Errno> {
        self.hooks.set_policy(&mut self.machine, owner, line, Policy::Hold, id)
    }

    fn reenable(&mut self, owner: Endpoint, line: u8, id: u8) -> Result<u8, Errno> {
        self.hooks.set_policy(&mut self.machine, owner, line, Policy::Reenable, id)
    }

    fn enable(&mut self, owner: Endpoint, number: u64) -> Result<(), Errno> {
        self.hooks.enable(&mut self.machine, owner, number)
    }

    fn disable(&mut self, owner: Endpoint, number: u64) -> Result<(), Errno> {
        self.hooks.disable(&mut self.machine, owner, number)
    }

    fn remove(&mut self, owner: Endpoint, number: u64) -> Result<(), Errno> {
        self.hooks.remove(&mut self.machine, owner, number)
    }

    /// Whom an interrupt is told to.
    fn interrupt(&mut self, line: u8) -> Vec<(Endpoint, u8)> {
        self.hooks.interrupt(&mut self.machine, line).iter().map(|Notice { owner, id }| (*owner, *id)).collect()
    }

    fn open(&self, line: u8) -> bool {
        self.machine.open.contains(&line)
    }

    /// Checks that an operation fails and does nothing.
    fn refused<T: core::fmt::Debug + PartialEq>(
        &mut self,
        operation: impl FnOnce(&mut Self) -> Result<T, Errno>,
        errno: Errno,
    ) {
        let (hooks, machine) = (self.hooks.clone(), self.machine.clone());
        assert_eq!(operation(self), Err(errno));
        assert_eq!((&self.hooks, &self.machine), (&hooks, &machine));
    }
}

#[test]
fn a_level_line_stays_masked_until_it_is_enabled() {
    let mut s = Setup::new();
    assert_eq!(s.hold(A, LEVEL, 5), Ok(1));
    assert_eq!(s.machine.take_done(), [Done::Unmask(LEVEL)]);
    assert_eq!(s.interrupt(LEVEL), [(A, 5)]);
    assert_eq!(s.machine.take_done(), [Done::Mask(LEVEL)]);
    assert_eq!(s.enable(A, 1), Ok(()));
    assert_eq!(s.machine.take_done(), [Done::Unmask(LEVEL)]);
}

#[test]
fn an_edge_line_with_reenable_is_never_masked() {
    let mut s = Setup::new();
    s.reenable(A, EDGE, 5).unwrap();
    s.machine.take_done();
    assert_eq!((s.interrupt(EDGE), s.interrupt(EDGE)), (vec![(A, 5)], vec![(A, 5)]));
    assert_eq!(s.machine.take_done(), []);
}

#[test]
fn reenable_is_refused_for_levels() {
    let mut s = Setup::new();
    s.refused(|s| s.reenable(A, LEVEL, 0), Errno::Inval);
    s.hold(A, LEVEL, 0).unwrap();
    s.refused(|s| s.reenable(A, LEVEL, 0), Errno::Inval);
}

#[test]
fn ids_and_lines_out_of_range_are_refused() {
    let mut s = Setup::new();
    for id in [LAST_NOTIFY_ID + 1, u8::MAX] {
        s.refused(|s| s.hold(A, EDGE, id), Errno::Inval);
    }
    for line in [LEVEL_LINES.end, u8::MAX] {
        s.refused(|s| s.hold(A, line, 0), Errno::Inval);
    }
    assert_eq!((s.hold(A, EDGE, LAST_NOTIFY_ID), s.hold(A, LEVEL_LINES.end - 1, 0)), (Ok(1), Ok(2)));
}

#[test]
fn one_hook_too_many_is_refused() {
    let mut s = Setup::new();
    for i in 0..MAX_HOOKS as u8 {
        let owner = Endpoint::new(usize::from(i) / 32, 0).unwrap();
        assert_eq!(s.hold(owner, i % 8, i % 32), Ok(i + 1));
    }
    let other = Endpoint::new(9, 0).unwrap();
    s.refused(|s| s.hold(other, EDGE, 0), Errno::NoSpc);
    assert_eq!(s.hold(A, EDGE, 3), Ok(4), "one that is there can still be set anew");
    s.remove(B, 64).unwrap();
    assert_eq!(s.hold(other, EDGE, 0), Ok(64));
}

#[test]
fn numbers_of_no_hook_and_foreign_hooks_are_refused() {
    let mut s = Setup::new();
    s.hold(A, EDGE, 0).unwrap();
    for number in [0, 2, MAX_HOOKS as u64, MAX_HOOKS as u64 + 1, 257, 1 << 32 | 1, u64::MAX] {
        s.refused(|s| s.enable(A, number), Errno::Inval);
        s.refused(|s| s.disable(A, number), Errno::Inval);
        s.refused(|s| s.remove(A, number), Errno::Inval);
    }
    let next_life = A.next_generation();
    for other in [B, next_life] {
        s.refused(|s| s.enable(other, 1), Errno::Perm);
        s.refused(|s| s.disable(other, 1), Errno::Perm);
        s.refused(|s| s.remove(other, 1), Errno::Perm);
    }
}

#[test]
fn the_same_owner_and_id_set_the_same_hook_anew() {
    let mut s = Setup::new();
    assert_eq!((s.hold(A, EDGE, 5), s.hold(B, EDGE, 5), s.hold(A, EDGE, 6)), (Ok(1), Ok(2), Ok(3)));
    s.remove(B, 2).unwrap();
    s.remove(A, 3).unwrap();
    s.interrupt(EDGE);
    assert!(!s.open(EDGE));
    assert_eq!(s.hold(A, EDGE, 5), Ok(1));
    assert!(s.open(EDGE), "it does not hold the line any more");
    assert_eq!(s.hold(A, LEVEL, 5), Ok(1));
    assert!(!s.open(EDGE) && s.open(LEVEL), "it has moved");
    assert_eq!((s.interrupt(EDGE), s.interrupt(LEVEL)), (vec![], vec![(A, 5)]));
}

#[test]
fn a_shared_line_waits_for_all_who_hold_it() {
    let mut s = Setup::new();
    s.hold(A, LEVEL, 1).unwrap();
    s.hold(B, LEVEL, 2).unwrap();
    assert_eq!(s.interrupt(LEVEL), [(A, 1), (B, 2)]);
    s.enable(A, 1).unwrap();
    assert!(!s.open(LEVEL));
    s.enable(A, 1).unwrap();
    assert!(!s.open(LEVEL), "twice is not two");
    s.enable(B, 2).unwrap();
    assert!(s.open(LEVEL));
}

#[test]
fn a_line_that_is_disabled_stays_masked_until_it_is_enabled() {
    let mut s = Setup::new();
    s.reenable(A, EDGE, 1).unwrap();
    s.disable(A, 1).unwrap();
    s.disable(A, 1).unwrap();
    assert_eq!(s.machine.take_done(), [Done::Unmask(EDGE), Done::Mask(EDGE)]);
    s.reenable(B, EDGE, 1).unwrap();
    assert!(!s.open(EDGE), "a new hook does not end the hold of another");
    s.enable(A, 1).unwrap();
    assert!(s.open(EDGE));
}

#[test]
fn a_line_is_masked_with_its_last_hook_and_freed_with_the_one_that_holds_it() {
    let mut s = Setup::new();
    s.hold(A, LEVEL, 1).unwrap();
    s.hold(B, LEVEL, 1).unwrap();
    s.disable(A, 1).unwrap();
    s.remove(A, 1).unwrap();
    assert!(s.open(LEVEL));
    s.remove(B, 2).unwrap();
    assert!(!s.open(LEVEL));
    s.refused(|s| s.remove(B, 2), Errno::Inval);
}

#[test]
fn hooks_end_with_their_owner() {
    let mut s = Setup::new();
    s.hold(A, LEVEL, 1).unwrap();
    s.hold(A, EDGE, 2).unwrap();
    s.hold(B, EDGE, 1).unwrap();
    s.disable(A, 2).unwrap();
    s.hooks.remove_all(&mut s.machine, A);
    assert!(!s.open(LEVEL) && s.open(EDGE));
    assert_eq!((s.interrupt(EDGE), s.interrupt(LEVEL)), (vec![(B, 1)], vec![]));
    let before = s.hooks.clone();
    s.hooks.remove_all(&mut s.machine, A);
    assert_eq!(s.hooks, before);
    s.hooks.remove_all(&mut s.machine, B);
    assert_eq!(s.hooks, Hooks::NONE);
}

#[test]
fn an_interrupt_that_nobody_waits_for_masks_its_line() {
    let mut s = Setup::new();
    for line in [EDGE, LEVEL, u8::MAX] {
        assert_eq!(s.interrupt(line), []);
        assert_eq!(s.machine.take_done(), [Done::Mask(line)]);
    }
}

/// A hook as the specification sees it.
#[derive(Clone, Copy)]
struct Expected {
    owner: Endpoint,
    line: u8,
    id: u8,
    reenable: bool,
    holds: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Set(u8, bool, u8),
    Enable(u64),
    Disable(u64),
    Remove(u64),
    Interrupt(u8),
    Die,
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let line = || prop_oneof![0_u8..3, LEVEL_LINES.start..LEVEL_LINES.start + 3];
    let number = || 0_u64..10;
    let step = prop_oneof![
        4 => (line(), any::<bool>(), 0_u8..3).prop_map(|(line, reenable, id)| Step::Set(line, reenable, id)),
        3 => number().prop_map(Step::Enable),
        1 => number().prop_map(Step::Disable),
        1 => number().prop_map(Step::Remove),
        3 => line().prop_map(Step::Interrupt),
        1 => Just(Step::Die),
    ];
    (0_usize..3, step)
}

proptest! {
    /// Against the rule as it is written: open if and only if there are hooks and none holds.
    #[test]
    fn any_sequence_leaves_exactly_the_right_lines_open(steps in proptest::collection::vec(step(), 1..80)) {
        let mut s = Setup::new();
        let mut model: std::collections::BTreeMap<u64, Expected> = std::collections::BTreeMap::new();
        for (who, step) in steps {
            let owner = Endpoint::new(who, 0).unwrap();
            let mine = |number| match model.get(&number) {
                None => Err(Errno::Inval),
                Some(hook) if hook.owner != owner => Err(Errno::Perm),
                Some(_) => Ok(()),
            };
            match step {
                Step::Set(line, reenable, id) => {
                    let policy = if reenable { Policy::Reenable } else { Policy::Hold };
                    let set = s.hooks.set_policy(&mut s.machine, owner, line, policy, id);
                    if reenable && LEVEL_LINES.contains(&line) {
                        prop_assert_eq!(set, Err(Errno::Inval));
                    } else {
                        let number = u64::from(set.unwrap());
                        let same = model.iter().find(|(_, h)| h.owner == owner && h.id == id).map(|(n, _)| *n);
                        prop_assert!(same.map_or(!model.contains_key(&number), |same| same == number));
                        model.insert(number, Expected { owner, line, id, reenable, holds: false });
                    }
                }
                Step::Enable(number) => {
                    prop_assert_eq!(s.enable(owner, number), mine(number));
                    model.entry(number).and_modify(|h| h.holds &= h.owner != owner);
                }
                Step::Disable(number) => {
                    prop_assert_eq!(s.disable(owner, number), mine(number));
                    model.entry(number).and_modify(|h| h.holds |= h.owner == owner);
                }
                Step::Remove(number) => {
                    let expected = mine(number);
                    prop_assert_eq!(s.remove(owner, number), expected);
                    if expected.is_ok() {
                        model.remove(&number);
                    }
                }
                // A line that is masked does not interrupt.
                Step::Interrupt(line) if s.open(line) => {
                    let hit = model.values_mut().filter(|h| h.line == line);
                    let expected: Vec<_> = hit.map(|h| { h.holds |= !h.reenable; (h.owner, h.id) }).collect();
                    prop_assert_eq!(s.interrupt(line), expected);
                }
                Step::Interrupt(_) => {}
                Step::Die => {
                    s.hooks.remove_all(&mut s.machine, owner);
                    model.retain(|_, h| h.owner != owner);
                }
            }
            for line in 0..LEVEL_LINES.end {
                let mut hooks = model.values().filter(|h| h.line == line);
                let open = hooks.clone().count() > 0 && hooks.all(|h| !h.holds);
                prop_assert_eq!((s.open(line), s.hooks.is_open(line)), (open, open), "line {}", line);
            }
        }
    }
}
