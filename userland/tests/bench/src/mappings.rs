//! Memory of another program that this one sees, and copies that are made like that.

use crate::copies::grant;
use crate::memory::call;
use crate::{Trouble, report, timed};
use abi::grant::MAX_HOPS;
use abi::layout::PAGE_SIZE;
use abi::{BODY_WORDS, Endpoint};
use protocol::kernel::{MAX_LENT, SafeCopyFrom, SafeMap, SafeRevMap, SafeUnmap};
use protocol::vmctl::{GetSpaceOf, Part};
use sys::grants::{FOREVER, Pages, Received, Rights};

/// Pages that are mapped, taken back and copied: 1 MiB.
const COUNT: usize = 256;
const LEN: u64 = COUNT as u64 * PAGE_SIZE;
/// Most bytes of them that one call maps or copies.
const STEP: u64 = MAX_LENT as u64 * PAGE_SIZE;
/// Places in which another page is seen while the same is measured once more.
const MANY: usize = 1000;
/// Words of a page.
const WORDS: usize = PAGE_SIZE as usize / size_of::<u64>();

/// Where the lender's pages are seen, and where they are seen once more.
static PLACE: Pages<COUNT> = Pages::new();
static SECOND: Pages<COUNT> = Pages::new();
static OTHERS: Pages<MANY> = Pages::new();

/// The lender's grant, the same handed on by this program to itself, so that it can take it back, and where it lives.
struct Seen {
    granted: Received,
    own: Received,
    space: u64,
}

/// Measures all per page.
pub(crate) fn measure(me: Endpoint, lender: Endpoint) -> Result<(), Trouble> {
    /// Behind those with links.
    const TO_BE_MAPPED: u64 = MAX_HOPS as u64 + 1;
    let granted = Received { granter: lender, id: grant(lender, TO_BE_MAPPED)? };
    let handed_on = FOREVER.hand_on(granted, 0..LEN, Rights::READ_WRITE.mapping(), me)?;
    let own = Received { granter: me, id: handed_on.id() };
    let seen = Seen { granted, own, space: sys::vmctl().space_of(GetSpaceOf { process: me })?.space };
    report("safemap.page", |_| seen.map_once())?;
    report("saferevmap.page", |_| seen.revoke_once())?;
    map(seen.granted, &SECOND)?;
    report("saferevmap.copied", |_| {
        map(seen.own, &PLACE)?;
        let cost = seen.revoke()?;
        check(&PLACE)?;
        clear(&PLACE);
        Ok(per_page(cost))
    })?;
    unmap(&SECOND)?;
    seen.part()?;
    report("safecopy.cow", |_| {
        let Received { granter, id: grant } = seen.granted;
        let cost = in_steps(|offset, len| {
            let address = address_of(&PLACE) + offset;
            call(&SafeCopyFrom { granter, reserved: 0, grant, offset, address, len })
        })?;
        check(&PLACE)?;
        seen.part()?;
        Ok(per_page(cost))
    })?;
    let other = Received { granter: lender, id: grant(lender, TO_BE_MAPPED + 1)? };
    for page in 0..MANY as u64 {
        let Received { granter, id: grant } = other;
        let address = address_of(&OTHERS) + page * PAGE_SIZE;
        call(&SafeMap { granter, write: 1, grant, offset: 0, address, len: PAGE_SIZE })?;
    }
    report("safemap.many", |_| seen.map_once())?;
    report("saferevmap.many", |_| seen.revoke_once())
}

const fn per_page(cost: u32) -> u32 {
    cost.div_ceil(COUNT as u32)
}

fn address_of<const N: usize>(pages: &'static Pages<N>) -> u64 {
    (&raw const *pages).expose_provenance() as u64
}

/// Makes calls that each take a part of all pages, from an offset on; returns what they cost together.
fn in_steps(mut call: impl FnMut(u64, u64) -> Result<(u32, [u64; BODY_WORDS]), Trouble>) -> Result<u32, Trouble> {
    let mut total = 0;
    for offset in (0..LEN).step_by(STEP as usize) {
        let (cost, answer) = call(offset, STEP)?;
        if answer[0] != STEP {
            return Err(Trouble::WrongAnswer);
        }
        total += cost;
    }
    Ok(total)
}

/// Maps all that was granted; returns what it cost.
fn map(grant: Received, place: &'static Pages<COUNT>) -> Result<u32, Trouble> {
    let Received { granter, id: grant } = grant;
    in_steps(|offset, len| {
        call(&SafeMap { granter, write: 1, grant, offset, address: address_of(place) + offset, len })
    })
}

fn unmap(place: &'static Pages<COUNT>) -> Result<(), Trouble> {
    for offset in (0..LEN).step_by(STEP as usize) {
        while sys::kernel().safeunmap(SafeUnmap { address: address_of(place) + offset })?.more > 0 {}
    }
    Ok(())
}

/// Each page is the lender's: it has its number in its first word.
fn check(pages: &'static Pages<COUNT>) -> Result<(), Trouble> {
    let right = (0..COUNT).all(|page| pages.load(page * WORDS) == page as u64 + 1);
    if right { Ok(()) } else { Err(Trouble::WrongAnswer) }
}

/// Writes something else there.
fn clear(pages: &'static Pages<COUNT>) {
    (0..COUNT).for_each(|page| pages.store(page * WORDS, 0));
}

impl Seen {
    /// What it costs for each page to map all of them.
    fn map_once(&self) -> Result<u32, Trouble> {
        let cost = map(self.granted, &PLACE)?;
        check(&PLACE)?;
        unmap(&PLACE)?;
        self.part()?;
        Ok(per_page(cost))
    }

    /// What it costs for each page to take all of them back.
    fn revoke_once(&self) -> Result<u32, Trouble> {
        map(self.own, &PLACE)?;
        let cost = self.revoke()?;
        check(&PLACE)?;
        self.part()?;
        Ok(per_page(cost))
    }

    /// Takes back what is mapped by the program's own link, with as many calls as it takes; returns what they cost.
    fn revoke(&self) -> Result<u32, Trouble> {
        let call = SafeRevMap { grant: self.own.id };
        let before = timed::now();
        while sys::kernel().saferevmap(call)?.more > 0 {}
        Ok(timed::now().wrapping_sub(before) as u32)
    }

    /// Gives each page a frame of its own again, and clears it.
    fn part(&self) -> Result<(), Trouble> {
        for pages in [&PLACE, &SECOND] {
            let part = Part { space: self.space, address: address_of(pages), count: COUNT as u32, reserved: 0 };
            while sys::vmctl().part(part)?.more > 0 {}
            clear(pages);
        }
        Ok(())
    }
}
