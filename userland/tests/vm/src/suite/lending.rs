//! Memory that players grant to each other, let the other see, and then fork with, give up, or end: each keeps what it saw, and
//! everything comes back.

use crate::player::{Player, new_memory, server, unused_pages};
use abi::grant::{GrantEntry, GrantFlags, GrantId};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use protocol::kernel::{SafeMap, SafeRevMap, SafeUnmap, SetGrant};
use protocol::vm::{Access, Clear, MapFlags};
use suite::{Failure, Outcome, check_eq};

/// Where players have the table of their grants, what they grant, and where they see what others grant.
const TABLE: u64 = 0x2100_0000_0000;
pub(crate) const PLACE: u64 = 0x2000_0000_0000;
/// Pages that are lent.
const PAGES: u64 = 8;
const LEN: u64 = PAGES * PAGE_SIZE;

/// Lets a player grant memory: it has a table, and the kernel knows.
pub(crate) fn has_table(player: &mut Player) -> Outcome {
    player.ask(&new_memory(TABLE, 1, MapFlags::FIXED))??;
    player.write(TABLE, 0)?;
    player.calls(&SetGrant { address: TABLE, count: 8 })??;
    Ok(())
}

/// A player grants memory, to be copied, filled and mapped.
pub(crate) fn grant(player: &mut Player, to: Endpoint, start: u64, len: u64) -> Result<GrantId, Failure> {
    let flags = GrantFlags::USED | GrantFlags::VALID | GrantFlags::DIRECT;
    let flags = (flags | GrantFlags::READ | GrantFlags::WRITE | GrantFlags::MAP).bits();
    let words: [u64; 8] = zerocopy::transmute!(GrantEntry { flags, grantee: to, start, len, ..GrantEntry::FREE });
    for (word, at) in words.into_iter().zip((TABLE..).step_by(8)) {
        player.write(at, word)?;
    }
    Ok(GrantId::new(0, 0).unwrap_or(GrantId::INVALID))
}

/// Two players that have eight pages each in one place, of which the second sees those of the first.
struct Pair {
    owner: Player,
    user: Player,
    grant: GrantId,
}

/// What stands in the first words of the pages at first: one more in each.
const OWNERS: u64 = 100;
const USERS: u64 = 200;

const fn sum_from(first: u64) -> u64 {
    PAGES * first + PAGES * (PAGES - 1) / 2
}

fn rich(first: u64) -> Result<Player, Failure> {
    let mut player = Player::start()?;
    player.ask(&new_memory(PLACE, PAGES, MapFlags::FIXED))??;
    player.fill(PLACE, PAGES, first)?;
    has_table(&mut player)?;
    Ok(player)
}

impl Pair {
    /// Not mapped yet.
    fn apart() -> Result<Self, Failure> {
        let (mut owner, user) = (rich(OWNERS)?, rich(USERS)?);
        let grant = grant(&mut owner, user.endpoint, PLACE, LEN)?;
        Ok(Self { owner, user, grant })
    }

    fn mapped() -> Result<Self, Failure> {
        let mut pair = Self::apart()?;
        pair.map()?;
        pair.is_mapped(true)?;
        Ok(pair)
    }

    fn map(&mut self) -> Outcome {
        let granter = self.owner.endpoint;
        let call = SafeMap { granter, write: 1, grant: self.grant, offset: 0, address: PLACE, len: LEN };
        loop {
            let done = self.user.calls(&call)??.done;
            if done != 0 {
                check_eq!(done, LEN);
                return Ok(());
            }
        }
    }

    /// What either of them writes, the other sees or not, in every page; the words are what they were then.
    #[track_caller]
    fn is_mapped(&mut self, mapped: bool) -> Outcome {
        let line = core::panic::Location::caller().line();
        for at in (PLACE..PLACE + LEN).step_by(PAGE_SIZE as usize) {
            let (of_owner, of_user) = (self.owner.read(at)?, self.user.read(at)?);
            self.owner.write(at, 1)?;
            check_eq!((line, at, self.user.read(at)? == 1), (line, at, mapped));
            self.owner.write(at, of_owner)?;
            self.user.write(at, 2)?;
            check_eq!((line, at, self.owner.read(at)? == 2), (line, at, mapped));
            self.user.write(at, of_user)?;
        }
        Ok(())
    }

    /// Both have what the owner wrote, each for itself.
    #[track_caller]
    fn is_parted(&mut self) -> Outcome {
        let line = core::panic::Location::caller().line();
        let sums = (self.owner.sum(PLACE, PAGES)?, self.user.sum(PLACE, PAGES)?);
        check_eq!((line, sums), (line, (sum_from(OWNERS), sum_from(OWNERS))));
        self.is_mapped(false)
    }

    fn end(self) -> Outcome {
        self.owner.end()?;
        self.user.end()
    }
}

/// Does something with a pair after which all memory comes back.
fn and_all_comes_back(mut act: impl FnMut() -> Outcome) -> Outcome {
    let before = unused_pages()?;
    act()?;
    check_eq!(unused_pages()?, before);
    Ok(())
}

pub(crate) fn whoever_forks_parts_from_whom_it_lends_to() -> Outcome {
    and_all_comes_back(|| {
        let mut pair = Pair::mapped()?;
        let mut child = pair.owner.fork()?;
        pair.is_parted()?;
        check_eq!(child.sum(PLACE, PAGES)?, sum_from(OWNERS));
        child.fill(PLACE, PAGES, 300)?;
        pair.is_parted()?;
        // It can be mapped once more; the child is not touched by it.
        pair.map()?;
        pair.is_mapped(true)?;
        check_eq!(child.sum(PLACE, PAGES)?, sum_from(300));
        child.end()?;
        pair.end()
    })
}

pub(crate) fn whoever_forks_parts_from_whom_it_borrows_from() -> Outcome {
    and_all_comes_back(|| {
        let mut pair = Pair::mapped()?;
        let mut child = pair.user.fork()?;
        pair.is_parted()?;
        check_eq!(child.sum(PLACE, PAGES)?, sum_from(OWNERS));
        pair.user.fill(PLACE, PAGES, 300)?;
        check_eq!((child.sum(PLACE, PAGES)?, pair.owner.sum(PLACE, PAGES)?), (sum_from(OWNERS), sum_from(OWNERS)));
        pair.end()?;
        check_eq!(child.sum(PLACE, PAGES)?, sum_from(OWNERS));
        child.end()
    })
}

/// Whose pages are shared with parents and children until they are written, on both sides.
pub(crate) fn what_is_copied_when_written_is_lent() -> Outcome {
    and_all_comes_back(|| {
        let mut pair = Pair::apart()?;
        let (mut of_owner, mut of_user) = (pair.owner.fork()?, pair.user.fork()?);
        pair.map()?;
        pair.is_mapped(true)?;
        pair.owner.fill(PLACE, PAGES, 300)?;
        check_eq!((of_owner.sum(PLACE, PAGES)?, of_user.sum(PLACE, PAGES)?), (sum_from(OWNERS), sum_from(USERS)));
        of_owner.fill(PLACE, PAGES, 400)?;
        of_user.fill(PLACE, PAGES, 500)?;
        check_eq!(pair.user.sum(PLACE, PAGES)?, sum_from(300));
        pair.is_mapped(true)?;
        of_owner.end()?;
        pair.end()?;
        check_eq!(of_user.sum(PLACE, PAGES)?, sum_from(500));
        of_user.end()
    })
}

/// The owner or the user has a child after the mapping has ended, while both see one frame still.
pub(crate) fn whoever_forks_after_a_revoke_keeps_what_it_saw() -> Outcome {
    and_all_comes_back(|| {
        for by_owner in [false, true] {
            let mut pair = Pair::mapped()?;
            if by_owner {
                let grant = pair.grant;
                while pair.owner.calls(&SafeRevMap { grant })??.more > 0 {}
            } else {
                while pair.user.calls(&SafeUnmap { address: PLACE })??.more > 0 {}
            }
            let (mut of_owner, mut of_user) = (pair.owner.fork()?, pair.user.fork()?);
            pair.owner.fill(PLACE, PAGES, 300)?;
            of_user.fill(PLACE, PAGES / 2, 400)?;
            check_eq!(
                (of_owner.sum(PLACE, PAGES)?, pair.user.sum(PLACE, PAGES)?),
                (sum_from(OWNERS), sum_from(OWNERS))
            );
            pair.end()?;
            check_eq!(of_owner.sum(PLACE, PAGES)?, sum_from(OWNERS));
            of_owner.end()?;
            of_user.end()?;
        }
        Ok(())
    })
}

pub(crate) fn a_part_that_is_unmapped_parts_all() -> Outcome {
    and_all_comes_back(|| {
        for of_owner in [false, true] {
            let mut pair = Pair::mapped()?;
            let (one, other) =
                if of_owner { (&mut pair.owner, &mut pair.user) } else { (&mut pair.user, &mut pair.owner) };
            one.unmap(PLACE + 2 * PAGE_SIZE, 3)??;
            check_eq!(other.sum(PLACE, PAGES)?, sum_from(OWNERS));
            other.fill(PLACE, PAGES, 300)?;
            check_eq!((one.read(PLACE)?, one.read(PLACE + 7 * PAGE_SIZE)?), (OWNERS, OWNERS + 7));
            pair.end()?;
        }
        Ok(())
    })
}

pub(crate) fn what_is_protected_parts() -> Outcome {
    and_all_comes_back(|| {
        for of_owner in [false, true] {
            let mut pair = Pair::mapped()?;
            let side = if of_owner { &mut pair.owner } else { &mut pair.user };
            side.protect(PLACE + PAGE_SIZE, 2, Access::Read)??;
            check_eq!(side.sum(PLACE, PAGES)?, sum_from(OWNERS));
            side.protect(PLACE, PAGES, Access::Write)??;
            pair.is_parted()?;
            pair.end()?;
        }
        Ok(())
    })
}

/// It ends, or begins anew for another program.
pub(crate) fn whoever_goes_leaves_the_other_what_it_sees() -> Outcome {
    and_all_comes_back(|| {
        for of_owner in [false, true] {
            for anew in [false, true] {
                let Pair { owner, user, .. } = Pair::mapped()?;
                let (goes, mut stays) = if of_owner { (owner, user) } else { (user, owner) };
                if anew {
                    server().clear(Clear { process: goes.endpoint, reserved: 0 })?;
                    check_eq!(stays.sum(PLACE, PAGES)?, sum_from(OWNERS));
                }
                goes.end()?;
                check_eq!(stays.sum(PLACE, PAGES)?, sum_from(OWNERS));
                stays.fill(PLACE, PAGES, 300)?;
                stays.fork()?.end()?;
                check_eq!(stays.sum(PLACE, PAGES)?, sum_from(300));
                stays.end()?;
            }
        }
        Ok(())
    })
}

/// A page of memory that several show is not lent while others see it, nor does anything come in its place.
pub(crate) fn what_others_show_is_no_place_to_map() -> Outcome {
    and_all_comes_back(|| {
        let mut pair = Pair::apart()?;
        pair.user.ask(&new_memory(PLACE, PAGES, MapFlags::FIXED | MapFlags::SHARED))??;
        let mut child = pair.user.fork()?;
        let granter = pair.owner.endpoint;
        let call = SafeMap { granter, write: 1, grant: pair.grant, offset: 0, address: PLACE, len: LEN };
        // Both have touched it.
        pair.user.fill(PLACE, PAGES, 300)?;
        check_eq!(child.sum(PLACE, PAGES)?, sum_from(300));
        check_eq!(pair.user.calls(&call)?.err(), Some(Errno::Busy));
        check_eq!(pair.user.sum(PLACE, PAGES)?, sum_from(300));
        child.end()?;
        pair.end()
    })
}
