//! Memory of another program that this one sees, and copies that are made like that.

use crate::copies::grant;
use crate::memory::call;
use crate::{Trouble, report, timed};
use abi::Endpoint;
use abi::grant::MAX_HOPS;
use abi::layout::PAGE_SIZE;
use protocol::kernel::{MAX_LENT, SafeCopyFrom, SafeMap, SafeRevMap, SafeUnmap};
use protocol::vmctl::{GetSpaceOf, Part};
use sys::grants::{FOREVER, Pages, Received, Rights};

/// Pages that are mapped, taken back and copied with one call.
const COUNT: usize = MAX_LENT as usize;
const LEN: u64 = COUNT as u64 * PAGE_SIZE;
/// Words of a page.
const WORDS: usize = PAGE_SIZE as usize / size_of::<u64>();

/// Where the lender's pages are seen, and where they are seen once more.
static PLACE: Pages<COUNT> = Pages::new();
static SECOND: Pages<COUNT> = Pages::new();

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
    report("safemap.page", |_| {
        let cost = map(seen.granted, &PLACE)?;
        check(&PLACE)?;
        while sys::kernel().safeunmap(SafeUnmap { address: address_of(&PLACE) })?.more > 0 {}
        seen.part()?;
        Ok(per_page(cost))
    })?;
    report("saferevmap.page", |_| {
        map(seen.own, &PLACE)?;
        let cost = seen.revoke()?;
        check(&PLACE)?;
        seen.part()?;
        Ok(per_page(cost))
    })?;
    map(seen.granted, &SECOND)?;
    report("saferevmap.copied", |_| {
        map(seen.own, &PLACE)?;
        let cost = seen.revoke()?;
        check(&PLACE)?;
        clear(&PLACE);
        Ok(per_page(cost))
    })?;
    while sys::kernel().safeunmap(SafeUnmap { address: address_of(&SECOND) })?.more > 0 {}
    seen.part()?;
    report("safecopy.cow", |_| {
        let Received { granter, id: grant } = seen.granted;
        let address = address_of(&PLACE);
        let (cost, answer) = call(&SafeCopyFrom { granter, reserved: 0, grant, offset: 0, address, len: LEN })?;
        check(&PLACE)?;
        seen.part()?;
        if answer[0] == LEN { Ok(per_page(cost)) } else { Err(Trouble::WrongAnswer) }
    })
}

const fn per_page(cost: u32) -> u32 {
    cost.div_ceil(MAX_LENT)
}

fn address_of(pages: &'static Pages<COUNT>) -> u64 {
    (&raw const *pages).expose_provenance() as u64
}

/// Maps all that was granted; returns what it cost.
fn map(grant: Received, place: &'static Pages<COUNT>) -> Result<u32, Trouble> {
    let Received { granter, id: grant } = grant;
    let address = address_of(place);
    let (cost, answer) = call(&SafeMap { granter, write: 1, grant, offset: 0, address, len: LEN })?;
    if answer[0] == LEN { Ok(cost) } else { Err(Trouble::WrongAnswer) }
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
            let part = Part { space: self.space, address: address_of(pages), count: MAX_LENT, reserved: 0 };
            while sys::vmctl().part(part)?.more > 0 {}
            clear(pages);
        }
        Ok(())
    }
}
