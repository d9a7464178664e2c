//! Grants that do not allow what is tried. The suite tries it; a child has made the grant.

use crate::kit::*;
use abi::grant::{GrantEntry, GrantFlags, GrantId, MAX_GRANTS};
use abi::layout::USER_END;
use abi::{Endpoint, Errno, PrivilegeFlags};
use family::kit::{called, obedient, settle};
use family::me;
use protocol::kernel::*;
use suite::{Outcome, check_eq};
use sys::grants::Received;
use sys::kernel;
use zerocopy::IntoBytes;

pub(crate) fn rights_are_those_of_the_entry() -> Outcome {
    let granter = Granter::start()?;
    usable(granter.grant_data(me()?, BOTH), 0)?;
    let read_only = granter.grant_data(me()?, READ);
    check_eq!(read_only.value::<u64>(8)?, granter.word(1));
    unwritable(&granter, read_only, 0, 8, Errno::Perm)?;
    let write_only = granter.grant_data(me()?, WRITE);
    write_only.copy_to(8, &77_u64)?;
    check_eq!(granter.word(1), 77);
    unreadable(&granter, write_only, 0, 8, Errno::Perm)?;
    for rights in [GrantFlags::empty(), GrantFlags::MAP, GrantFlags::TRY] {
        useless(&granter, granter.grant_data(me()?, rights), Errno::Perm)?;
    }
    granter.end()
}

pub(crate) fn a_grant_is_for_its_grantee() -> Outcome {
    let (granter, other) = (Granter::start()?, Granter::start()?);
    for stranger in [other.endpoint(), granter.endpoint(), me()?.next_generation(), Endpoint::SELF, Endpoint::NONE] {
        useless(&granter, granter.grant_data(stranger, BOTH), Errno::Perm)?;
    }
    usable(granter.grant_data(Endpoint::ANY, BOTH), 16)?;
    // At an inner link: what was granted to the suite is handed on by the other one.
    let mine = granter.grant_data(me()?, BOTH);
    useless(&granter, other.grant(0, indirect(me()?, BOTH, mine, 0, LEN)), Errno::Perm)?;
    // And what was handed on is not for whoever goes to its source.
    let theirs = granter.grant_data(other.endpoint(), BOTH);
    usable(other.grant(0, indirect(me()?, BOTH, theirs, 0, LEN)), 16)?;
    useless(&granter, theirs, Errno::Perm)?;
    granter.end()?;
    other.end()
}

pub(crate) fn the_range_is_checked_to_the_byte() -> Outcome {
    const SHORT: u64 = 100;
    let granter = Granter::start()?;
    let grant = granter.grant(0, direct(me()?, BOTH, DATA.address(), SHORT));
    usable(grant, SHORT - 8)?;
    for (offset, len) in [(SHORT - 8, 9), (SHORT, 1), (SHORT + 1, 1), (u64::MAX, 1), (u64::MAX - 7, 8), (1 << 63, 8)] {
        unreadable(&granter, grant, offset, len, Errno::Perm)?;
        unwritable(&granter, grant, offset, len, Errno::Perm)?;
    }
    for (start, len) in [(u64::MAX, 1), (u64::MAX - 7, 8), (USER_END - 7, 8), (0, USER_END + 1), (8, u64::MAX)] {
        useless(&granter, granter.grant(0, direct(me()?, BOTH, start, len)), Errno::Perm)?;
    }
    // Lengths that only the kernel call can have.
    let grant = granter.grant_data(me()?, BOTH);
    let Received { granter: who, id } = grant;
    for len in [LEN + 1, u64::MAX, u64::MAX - 7, 1 << 63] {
        let from = SafeCopyFrom { granter: who, reserved: 0, grant: id, offset: 8, address: 0x1_0000, len };
        // SAFETY: nothing is there.
        check_eq!(unsafe { rt::call_unchecked(&from) }.err(), Some(Errno::Perm));
        let fill = SafeMemSet { granter: who, byte: 0, grant: id, offset: 8, len };
        check_eq!(kernel().safememset(fill).err(), Some(Errno::Perm));
    }
    granter.end()
}

pub(crate) fn ids_that_are_none() -> Outcome {
    let granter = Granter::start()?;
    let good = granter.grant_data(me()?, BOTH);
    for raw in [u64::MAX, 1 << 63, i64::MIN as u64 + 3] {
        useless(&granter, Received { id: GrantId::from_raw(raw), ..good }, Errno::Inval)?;
    }
    for id in [id(1), id(ENTRIES - 1), id(ENTRIES), id(MAX_GRANTS - 1)] {
        useless(&granter, Received { id, ..good }, Errno::Perm)?;
    }
    granter.end()
}

pub(crate) fn entries_that_are_incomplete_or_of_no_kind() -> Outcome {
    let granter = Granter::start()?;
    let good = direct(me()?, BOTH, DATA.address(), LEN);
    let (used, valid) = (GrantFlags::USED.bits(), GrantFlags::VALID.bits());
    let [direct, indirect, magic] = [GrantFlags::DIRECT, GrantFlags::INDIRECT, GrantFlags::MAGIC].map(|f| f.bits());
    let states = [good.flags & !used, good.flags & !valid, good.flags & !direct, 0];
    let kinds = [direct | indirect, direct | magic, indirect | magic, direct | indirect | magic];
    let kinds = kinds.map(|kind| good.flags & !direct | kind);
    for flags in states.into_iter().chain(kinds) {
        useless(&granter, granter.grant(0, GrantEntry { flags, ..good }), Errno::Perm)?;
    }
    granter.end()
}

pub(crate) fn an_id_that_was_taken_back_stays_so() -> Outcome {
    let granter = Granter::start()?;
    let mut old = granter.grant_data(me()?, BOTH);
    for sequence in [1, 2, 2047, 2048, GrantId::LAST_SEQUENCE] {
        granter.grant(0, GrantEntry::FREE);
        useless(&granter, old, Errno::Perm)?;
        let new = granter.grant(0, GrantEntry { sequence, ..direct(me()?, BOTH, DATA.address(), LEN) });
        useless(&granter, old, Errno::Perm)?;
        usable(new, 0)?;
        old = new;
    }
    granter.end()
}

pub(crate) fn granters_that_are_nobody_or_have_no_table() -> Outcome {
    let (granter, watched) = (Granter::start()?, Granter::start()?);
    let good = granter.grant_data(me()?, BOTH);
    for who in [good.granter.next_generation(), Endpoint::NONE, Endpoint::ANY, Endpoint::SYSTEM] {
        useless(&granter, Received { granter: who, ..good }, Errno::Inval)?;
    }
    // A user process has no table, nor has a service that gave its own up.
    useless(&granter, Received { granter: family::seed()?, ..good }, Errno::Perm)?;
    granter.register(0, 0)??;
    useless(&granter, good, Errno::Perm)?;
    granter.register(TABLE.address(), ENTRIES)??;
    usable(good, 0)?;
    // Another one hands on what it has from the granter, which dies.
    let theirs = granter.grant_data(watched.endpoint(), BOTH);
    let through = watched.grant(0, indirect(me()?, BOTH, theirs, 0, LEN));
    usable(through, 0)?;
    granter.end()?;
    useless(&watched, good, Errno::Inval)?;
    useless(&watched, through, Errno::Inval)?;
    watched.end()
}

pub(crate) fn only_the_privileged_grant_memory_of_others() -> Outcome {
    let (granter, owner) = (Granter::start()?, Granter::start()?);
    let of_another = magic(me()?, BOTH, owner.endpoint(), DATA.address(), LEN);
    useless(&owner, granter.grant(0, of_another), Errno::Perm)?;
    let privileged = Granter::start_with(PrivilegeFlags::GRANTS_FOR_OTHERS)?;
    usable(privileged.grant(0, of_another), 0)?;
    check_eq!(privileged.grant(0, of_another).value::<u64>(24)?, owner.word(3));
    let beyond = magic(me()?, BOTH, owner.endpoint(), USER_END - 8, 9);
    useless(&owner, privileged.grant(0, beyond), Errno::Perm)?;
    let to_another = GrantEntry { grantee: granter.endpoint(), ..of_another };
    useless(&owner, privileged.grant(0, to_another), Errno::Perm)?;
    let through = privileged.grant(0, of_another);
    let dead = owner.endpoint();
    owner.end()?;
    useless(&granter, through, Errno::Inval)?;
    check_eq!(family::process_info(dead).err(), Some(Errno::Srch));
    granter.end()?;
    privileged.end()
}

pub(crate) fn each_link_narrows_rights_and_range() -> Outcome {
    let (owner, middle, last) = (Granter::start()?, Granter::start()?, Granter::start()?);
    let chain = |first, second, third| -> Result<Received, Errno> {
        let a = owner.grant_data(middle.endpoint(), first);
        let b = middle.grant(0, indirect(last.endpoint(), second, a, 16, 64));
        Ok(last.grant(0, indirect(me()?, third, b, 8, 40)))
    };
    let all = chain(BOTH, BOTH, BOTH)?;
    usable(all, 0)?;
    usable(all, 32)?;
    check_eq!(all.value::<u64>(8)?, owner.word(4));
    for (offset, len) in [(33, 8), (40, 1), (u64::MAX - 7, 8)] {
        unreadable(&owner, all, offset, len, Errno::Perm)?;
        unwritable(&owner, all, offset, len, Errno::Perm)?;
    }
    for [first, second, third] in [[READ, BOTH, BOTH], [BOTH, READ, BOTH], [BOTH, BOTH, READ]] {
        let grant = chain(first, second, third)?;
        check_eq!(grant.value::<u64>(0)?, owner.word(3));
        unwritable(&owner, grant, 0, 8, Errno::Perm)?;
    }
    for [first, second, third] in [[WRITE, READ, BOTH], [BOTH, READ, WRITE], [BOTH, GrantFlags::empty(), BOTH]] {
        useless(&owner, chain(first, second, third)?, Errno::Perm)?;
    }
    // A link that names more than it has got gives no more than that.
    let a = owner.grant(0, direct(middle.endpoint(), BOTH, DATA.address(), 64));
    for start in [57, 64, 65, u64::MAX, u64::MAX - 7] {
        useless(&owner, middle.grant(0, indirect(me()?, BOTH, a, start, u64::MAX)), Errno::Perm)?;
    }
    usable(middle.grant(0, indirect(me()?, BOTH, a, 56, u64::MAX)), 0)?;
    [owner, middle, last].into_iter().try_for_each(Granter::end)
}

/// A chain of so many links behind a direct grant, between two children in turns; the last one is for the suite.
fn chain(between: &[Granter; 2], hops: usize) -> Result<Received, Errno> {
    let to = |hop: usize| if hop == hops { me() } else { Ok(between[(hop + 1) % 2].endpoint()) };
    let mut grant = between[0].grant_data(to(0)?, BOTH);
    for hop in 1..=hops {
        grant = between[hop % 2].grant(hop as u64, indirect(to(hop)?, BOTH, grant, 0, LEN));
    }
    Ok(grant)
}

pub(crate) fn five_hops_are_followed_and_six_are_not() -> Outcome {
    let between = [Granter::start()?, Granter::start()?];
    for hops in 0..=5 {
        usable(chain(&between, hops)?, 0)?;
    }
    for hops in [6, 7, 40] {
        useless(&between[0], chain(&between, hops)?, Errno::Loop)?;
    }
    between.into_iter().try_for_each(Granter::end)
}

pub(crate) fn no_bytes_are_no_copy() -> Outcome {
    let granter = Granter::start()?;
    let grant = granter.grant_data(me()?, BOTH);
    unreadable(&granter, grant, 0, 0, Errno::Dom)?;
    unwritable(&granter, grant, LEN, 0, Errno::Dom)?;
    unreadable(&granter, grant, LEN + 1, 0, Errno::Perm)?;
    granter.end()
}

pub(crate) fn lists_that_cannot_be() -> Outcome {
    let granter = Granter::start()?;
    let Received { granter: who, id: grant } = granter.grant_data(me()?, BOTH);
    let mut words = [0_u64; 2];
    let address = words.as_mut_bytes().as_mut_ptr().expose_provenance() as u64;
    let good = SafeCopy { source: who, destination: Endpoint::SELF, grant, offset: 0, address, len: 8 };
    let made = |list: &[SafeCopy], count, first, skip| {
        let address = list.as_ptr().expose_provenance() as u64;
        // SAFETY: the lists copy to `words`, which is used for nothing else.
        unsafe { rt::call_unchecked(&VSafeCopy { address, count, first, skip }) }
    };
    let full = [good; MAX_COPIES as usize];
    check_eq!(made(&full, MAX_COPIES, 0, 0), Ok(VCopied { next: MAX_COPIES, skip: 0 }));
    for count in [0, MAX_COPIES + 1, u64::MAX] {
        check_eq!(made(&full, count, 0, 0), Err(Errno::Inval));
    }
    for (first, skip, errno) in [(2, 0, Errno::Inval), (u64::MAX, 0, Errno::Inval), (0, 8, Errno::Dom)] {
        check_eq!(made(&full, 2, first, skip), Err(errno));
    }
    let (me, me_by_name) = (Endpoint::SELF, me()?);
    for (source, destination) in [(me, me), (who, who), (who, me_by_name), (me_by_name, who), (who, Endpoint::NONE)] {
        check_eq!(made(&[SafeCopy { source, destination, ..good }], 1, 0, 0), Err(Errno::Inval));
    }
    let before = granter.sum();
    let last = SafeCopy { source: me, destination: who, ..good };
    check_eq!(made(&[good, SafeCopy { offset: LEN, ..good }, last], 3, 0, 0), Ok(VCopied { next: 1, skip: 0 }));
    check_eq!(made(&[SafeCopy { len: 0, ..good }], 1, 0, 0), Err(Errno::Dom));
    check_eq!(granter.sum(), before);
    granter.end()
}

pub(crate) fn who_may_not_copy_does_not() -> Outcome {
    let granter = Granter::start()?;
    let child = obedient(&[])?;
    let Received { granter: who, id: grant } = granter.grant_data(child.endpoint, BOTH);
    let (offset, address, len) = (0, DATA.address(), 8);
    let before = granter.sum();
    let from = SafeCopyFrom { granter: who, reserved: 0, grant, offset, address, len };
    check_eq!(called(&child, &from)?.err(), Some(Errno::CallDenied));
    let to = SafeCopyTo { granter: who, reserved: 0, grant, offset, address, len };
    check_eq!(called(&child, &to)?.err(), Some(Errno::CallDenied));
    let fill = SafeMemSet { granter: who, byte: 1, grant, offset, len };
    check_eq!(called(&child, &fill)?.err(), Some(Errno::CallDenied));
    let list = VSafeCopy { address, count: 1, first: 0, skip: 0 };
    check_eq!(called(&child, &list)?.err(), Some(Errno::CallDenied));
    check_eq!(called(&child, &SetGrant { address: TABLE.address(), count: 1 })?.err(), Some(Errno::CallDenied));
    check_eq!(granter.sum(), before);
    settle()?;
    child.end()?;
    granter.end()
}

/// Copies without grants: for those who have the right to make them, which may fail fast only with a privilege besides.
pub(crate) fn only_the_privileged_try_without_a_grant() -> Outcome {
    let (plain, privileged) = (Granter::start()?, Granter::start_with(PrivilegeFlags::GRANTS_FOR_OTHERS)?);
    let (from, to) = (DATA.address(), TABLE.address() + 2048);
    let copy = |flags| VirCopy { source: Endpoint::SELF, destination: Endpoint::SELF, from, to, len: 8, flags };
    check_eq!(called(&plain.0, &copy(0))?, Ok(VirCopied { done: 8 }));
    check_eq!(called(&plain.0, &copy(CopyFlags::TRY.bits()))?, Err(Errno::Perm));
    check_eq!(called(&plain.0, &copy(2))?, Err(Errno::Inval));
    check_eq!(called(&plain.0, &VirCopy { len: 0, ..copy(0) })?, Err(Errno::Dom));
    check_eq!(called(&privileged.0, &copy(CopyFlags::TRY.bits()))?, Ok(VirCopied { done: 8 }));
    take(&privileged.0, MORE)?;
    let missing = VirCopy { from: MORE.address(), ..copy(CopyFlags::TRY.bits()) };
    check_eq!(called(&privileged.0, &missing)?, Err(Errno::Fault));
    plain.end()?;
    privileged.end()
}
