//! Grants in a live update.

use crate::kit::*;
use crate::party::Party;
use abi::{Endpoint, Errno};
use family::kit::{called, nap, settle};
use family::{Child, me};
use protocol::kernel::*;
use suite::{Failure, Outcome, check_eq};
use sys::grants::Received;

/// An old instance and a new one, which have been swapped: each goes on under the endpoint of the other.
struct Swapped {
    /// Who has the old endpoint now: the new instance.
    new: Granter,
    /// The old instance, under the endpoint that the new one had.
    old: Granter,
}

/// The state of the old instance is granted to its own endpoint, all else to others.
fn swapped(others: &[Endpoint]) -> Result<Swapped, Failure> {
    let (mut old, mut new) = (Granter::start()?, Granter::start()?);
    old.grant(0, direct(old.endpoint(), READ, DATA.address(), LEN));
    for (other, index) in others.iter().zip(1..) {
        old.grant(index, direct(*other, BOTH, DATA.address(), LEN));
        new.grant(index, direct(*other, BOTH, DATA.address(), LEN));
    }
    old.0.home.page(DATA).set(0, 0x01d);
    new.0.home.page(DATA).set(0, 0x2e3);
    update(&mut old, &mut new, UpdateDirection::Forward)?;
    Ok(Swapped { new: old, old: new })
}

fn update(source: &mut Granter, destination: &mut Granter, direction: UpdateDirection) -> Outcome {
    Child::swap(&mut source.0, &mut destination.0, direction)
}

/// Copies a word without waiting.
fn fetch(granter: &Granter, index: u64) -> Result<u64, Errno> {
    let mut word = 0_u64;
    let address = core::ptr::from_mut(&mut word).expose_provenance() as u64;
    let call = SafeCopyFrom { granter: granter.endpoint(), reserved: 0, grant: id(index), offset: 0, address, len: 8 };
    // SAFETY: it copies to `word`, which may hold anything.
    unsafe { rt::call_unchecked(&call) }?;
    Ok(word)
}

pub(crate) fn grants_are_not_ready_until_the_new_instance_says_so() -> Outcome {
    let Swapped { new, old } = swapped(&[me()?])?;
    check_eq!((fetch(&new, 1), fetch(&old, 1)), (Err(Errno::NotReady), Err(Errno::NotReady)));
    new.register(TABLE.address(), ENTRIES)??;
    check_eq!((fetch(&new, 1), fetch(&old, 1)), (Ok(0x2e3), Err(Errno::NotReady)));
    old.end()?;
    check_eq!(fetch(&new, 1), Ok(0x2e3));
    new.end()
}

pub(crate) fn after_a_rollback_the_old_grants_hold_again() -> Outcome {
    let Swapped { mut new, mut old } = swapped(&[me()?])?;
    check_eq!(fetch(&new, 1), Err(Errno::NotReady));
    update(&mut new, &mut old, UpdateDirection::Rollback)?;
    check_eq!(fetch(&new, 1), Ok(0x01d));
    new.end()?;
    old.end()
}

pub(crate) fn only_the_new_instance_reads_the_state_of_the_old() -> Outcome {
    let other = Granter::start()?;
    let Swapped { new, old } = swapped(&[other.endpoint(), me()?])?;
    let state =
        SafeCopyFrom { granter: old.endpoint(), reserved: 0, grant: id(0), offset: 0, address: MORE.address(), len: 8 };
    check_eq!(called(&other.0, &state)?.err(), Some(Errno::NotReady));
    check_eq!(fetch(&old, 0), Err(Errno::NotReady));
    check_eq!(called(&new.0, &state)?, Ok(CopiedFrom { done: 8 }));
    check_eq!(new.0.home.page(MORE).get(0), 0x01d);
    // It is for reading, and what is for others stays so.
    let SafeCopyFrom { granter, reserved, offset, address, len, .. } = state;
    let write = SafeCopyTo { granter, reserved, grant: id(0), offset, address, len };
    check_eq!(called(&new.0, &write)?.err(), Some(Errno::Perm));
    check_eq!(called(&new.0, &SafeCopyFrom { grant: id(1), ..state })?.err(), Some(Errno::Perm));
    [other, new, old].into_iter().try_for_each(Granter::end)
}

/// A party that uses the library waits for the new instance.
pub(crate) fn the_library_waits_for_the_new_instance() -> Outcome {
    let party = Party::start()?;
    let Swapped { new, old } = swapped(&[party.endpoint()])?;
    let grant = Received { granter: new.endpoint(), id: id(1) };
    let before = party.deeds();
    party.begin_to_fetch(grant, 8)?;
    nap(5)?;
    check_eq!(party.fetched(before), None);
    new.register(TABLE.address(), ENTRIES)??;
    nap(20)?;
    settle()?;
    check_eq!(party.fetched(before), Some(Ok(())));
    party.end()?;
    new.end()?;
    old.end()
}
