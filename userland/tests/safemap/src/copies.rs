//! Copies of whole pages, which the kernel makes by letting both sides see one frame until somebody writes. Nobody can tell.

use crate::field::page_at;
use crate::party::{MANY, Party};
use abi::layout::PAGE_SIZE;
use protocol::kernel::{MAX_COPIED, SafeCopyFrom};
use suite::{Failure, Outcome, check};
use sys::grants::Received;

/// Pages of the longest copy.
const MOST: usize = 256;

impl Party {
    /// It copies whole pages to the same places.
    fn copies(&self, grant: Received, pages: usize) -> Outcome {
        let (mut done, all) = (0, pages as u64 * PAGE_SIZE);
        while done < all {
            let Received { granter, id: grant } = grant;
            let call =
                SafeCopyFrom { granter, reserved: 0, grant, offset: done, address: page_at(0) + done, len: all - done };
            let now = self.calls(&call)??.done;
            check!((1..=all - done).contains(&now), "{now} bytes were copied of {}", all - done);
            done += now;
        }
        Ok(())
    }
}

/// Some parties, and with what each of their pages was painted last.
struct Painted<'p, const N: usize> {
    parties: [&'p Party; N],
    seeds: [[u64; MOST]; N],
}

impl<const N: usize> Painted<'_, N> {
    /// Each page of each is as it should be.
    #[track_caller]
    fn check(&self) -> Outcome {
        for (party, seeds) in self.parties.iter().zip(&self.seeds) {
            let mut page = 0;
            for run in seeds.chunk_by(|a, b| a == b) {
                party.check(run[0], page, run.len())?;
                page += run.len();
            }
        }
        Ok(())
    }

    fn paint(&mut self, who: usize, seed: u64, page: usize, count: usize) -> Outcome {
        self.seeds[who][page..page + count].fill(seed);
        self.parties[who].paint(seed, page, count)
    }
}

/// Both sides write all pages in a random order, each one or more of them at a time.
fn write_everywhere<const N: usize>(painted: &mut Painted<'_, N>, pages: usize, random: &mut u64) -> Outcome {
    const WRITES: u64 = 60;
    const BETWEEN: u64 = 15;
    for write in 0..WRITES {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (who, page) = ((*random >> 40) as usize % N, (*random >> 20) as usize % pages);
        let count = ((*random >> 50) as usize % 4 + 1).min(pages - page);
        painted.paint(who, 1000 + *random % 100_000, page, count)?;
        if write % BETWEEN == 0 {
            painted.check()?;
        }
    }
    painted.check()
}

/// Copies of so many pages, one after the other, and after each both write.
fn copies_are_private(pages: usize) -> Result<(), Failure> {
    const ROUNDS: u64 = 3;
    let (owner, user) = (Party::start_large(MANY)?, Party::start_large(MOST)?);
    let grant = owner.shares_many(user.endpoint())?;
    let mut painted = Painted { parties: [&owner, &user], seeds: [[0; MOST]; 2] };
    let mut random = pages as u64;
    painted.paint(0, 1, 0, MOST)?;
    painted.paint(1, 2, 0, MOST)?;
    for _ in 0..ROUNDS {
        user.copies(grant, pages)?;
        let [from, to] = &mut painted.seeds;
        to[..pages].copy_from_slice(&from[..pages]);
        painted.check()?;
        write_everywhere(&mut painted, MOST, &mut random)?;
    }
    owner.end()?;
    user.end()
}

pub(crate) fn copies_of_64_kib_are_private_whatever_is_written() -> Outcome {
    copies_are_private((MAX_COPIED / PAGE_SIZE) as usize)
}

pub(crate) fn copies_of_1_mib_are_private_whatever_is_written() -> Outcome {
    copies_are_private(MOST)
}

/// What one has copied another copies, and the first goes on.
pub(crate) fn a_copy_of_a_copy_is_private() -> Outcome {
    let (a, b, c) = (Party::start_large(MANY)?, Party::start_large(MANY)?, Party::start_large(MOST)?);
    let (first, second) = (a.shares_many(b.endpoint())?, b.shares_many(c.endpoint())?);
    let mut painted = Painted { parties: [&a, &b, &c], seeds: [[0; MOST]; 3] };
    (0..3).try_for_each(|who| painted.paint(who, 1 + who as u64, 0, MOST))?;
    let mut random = 5;
    for _ in 0..2 {
        b.copies(first, 64)?;
        c.copies(second, 64)?;
        let copied = painted.seeds[0];
        painted.seeds[1..].iter_mut().for_each(|seeds| seeds[..64].copy_from_slice(&copied[..64]));
        painted.check()?;
        write_everywhere(&mut painted, MOST, &mut random)?;
    }
    [a, b, c].into_iter().try_for_each(Party::end)
}

/// Pages that a third party sees, and those that were just taken back from one.
pub(crate) fn what_is_mapped_meanwhile_is_copied_as_it_is() -> Outcome {
    const COPIED: usize = 32;
    let (owner, user, viewer) = (Party::start_large(MANY)?, Party::start_large(MOST)?, Party::start()?);
    let grant = owner.shares_many(user.endpoint())?;
    owner.paint(1, 0, MOST)?;
    user.paint(2, 0, MOST)?;
    let shown = owner.shares(true, viewer.endpoint())?;
    viewer.maps(shown, 0, true)??;
    viewer.paint(3, 0, 4)?;
    user.copies(grant, COPIED)?;
    user.check(3, 0, 4)?;
    user.check(1, 4, COPIED - 4)?;
    user.check(2, COPIED, MOST - COPIED)?;
    viewer.paint(4, 0, 8)?;
    owner.check(4, 0, 8)?;
    user.check(3, 0, 4)?;
    owner.revokes(shown)?;
    user.copies(grant, COPIED)?;
    user.check(4, 0, 8)?;
    viewer.paint(5, 0, 8)?;
    owner.paint(6, 2, 2)?;
    user.check(4, 0, 8)?;
    owner.check(4, 0, 2)?;
    user.paint(7, 0, COPIED)?;
    owner.check(6, 2, 2)?;
    owner.check(1, 8, COPIED - 8)?;
    viewer.check(5, 0, 8)?;
    [owner, user, viewer].into_iter().try_for_each(Party::end)
}
