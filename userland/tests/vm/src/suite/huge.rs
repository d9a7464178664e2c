//! Grants of more memory than there is: whoever uses them up finds that there is none; others go on, and everything comes back.

use crate::lending::{PLACE, grant, has_table};
use crate::player::{Player, free_pages, new_memory, unused_pages};
use abi::Errno;
use abi::grant::GrantId;
use abi::layout::PAGE_SIZE;
use protocol::kernel::{MAX_COPIED, SafeCopyFrom, SafeMap, SafeMemSet};
use protocol::vm::MapFlags;
use suite::{Failure, Outcome, check, check_eq};

/// Two players, of which the second may use all that the first has: more than there is. And one that has to do with neither.
struct Three {
    owner: Player,
    user: Player,
    witness: Player,
    grant: GrantId,
    len: u64,
    before: u64,
}

impl Three {
    fn start() -> Result<Self, Failure> {
        let before = unused_pages()?;
        let (mut owner, mut user, mut witness) = (Player::start()?, Player::start()?, Player::start()?);
        let pages = 2 * free_pages()?;
        for player in [&mut owner, &mut user] {
            player.ask(&new_memory(PLACE, pages, MapFlags::FIXED))??;
            player.write(PLACE, 5)?;
            has_table(player)?;
        }
        witness.ask(&new_memory(PLACE, 4, MapFlags::FIXED))??;
        witness.fill(PLACE, 4, 1)?;
        let len = pages * PAGE_SIZE;
        let grant = grant(&mut owner, user.endpoint, PLACE, len)?;
        Ok(Self { owner, user, witness, grant, len, before })
    }

    /// Makes calls of the user, each of which does so many bytes behind those before, until one fails.
    fn until_it_fails(
        &mut self,
        mut call: impl FnMut(&mut Self, u64) -> Result<Result<u64, Errno>, Failure>,
    ) -> Result<(u64, Errno), Failure> {
        let mut done = 0;
        while done < self.len {
            match call(self, done)? {
                Ok(now) => done += now,
                Err(error) => return Ok((done, error)),
            }
        }
        suite::fail!("there is memory for all of {done} bytes")
    }

    /// Nothing but that request has failed: everybody has what it had, and can be asked for more.
    fn all_go_on(&mut self) -> Outcome {
        for player in [&mut self.owner, &mut self.user] {
            let word = player.read(PLACE)?;
            player.write(PLACE, !word)?;
            check_eq!(player.read(PLACE)?, !word);
        }
        check_eq!(self.witness.sum(PLACE, 4)?, 10);
        self.witness.fill(PLACE, 4, 1)?;
        self.witness.ask(&new_memory(PLACE, 4, MapFlags::FIXED))??;
        self.witness.unmap(PLACE, 4)?.map_err(Failure::from)
    }

    /// They end one after the other, and all memory is back.
    fn end(self) -> Outcome {
        let Self { owner, user, witness, before, .. } = self;
        user.end()?;
        owner.end()?;
        let mut next = Player::start()?;
        let address = next.map(100, MapFlags::empty())?;
        next.fill(address, 100, 1)?;
        next.end()?;
        witness.end()?;
        check_eq!(unused_pages()?, before);
        Ok(())
    }
}

pub(crate) fn filling_more_than_there_is() -> Outcome {
    let mut three = Three::start()?;
    let (done, error) = three.until_it_fails(|three, done| {
        let (granter, grant) = (three.owner.endpoint, three.grant);
        let call = SafeMemSet { granter, byte: 7, grant, offset: done, len: (three.len - done).min(MAX_COPIED) };
        Ok(three.user.calls(&call)?.map(|filled| filled.done))
    })?;
    check!(error == Errno::Fault && done > 1 << 20, "{done} bytes were filled: {error}");
    three.all_go_on()?;
    three.end()
}

pub(crate) fn copying_more_than_there_is() -> Outcome {
    let mut three = Three::start()?;
    let (done, error) = three.until_it_fails(|three, done| {
        let (granter, grant) = (three.owner.endpoint, three.grant);
        let (address, len) = (PLACE + done, (three.len - done).min(MAX_COPIED));
        let call = SafeCopyFrom { granter, reserved: 0, grant, offset: done, address, len };
        Ok(three.user.calls(&call)?.map(|copied| copied.done))
    })?;
    check!(error == Errno::Fault && done > 1 << 20, "{done} bytes were copied: {error}");
    three.all_go_on()?;
    three.end()
}

/// A page of each place, until the owner has lent all that one may lend; somebody else's can be mapped.
pub(crate) fn mapping_more_than_one_may_lend() -> Outcome {
    let mut three = Three::start()?;
    let (done, error) = three.until_it_fails(|three, done| {
        let (granter, grant, address) = (three.owner.endpoint, three.grant, PLACE + done);
        let call = SafeMap { granter, write: 1, grant, offset: done, address, len: PAGE_SIZE };
        Ok(three.user.calls(&call)?.map(|mapped| mapped.done))
    })?;
    check!(error == Errno::NoSpc && done > 100 * PAGE_SIZE, "{done} bytes were mapped: {error}");
    three.all_go_on()?;
    let (mut other, mut last) = (Player::start()?, Player::start()?);
    for player in [&mut other, &mut last] {
        player.ask(&new_memory(PLACE, 1, MapFlags::FIXED))??;
        has_table(player)?;
    }
    let theirs = grant(&mut other, last.endpoint, PLACE, PAGE_SIZE)?;
    let granter = other.endpoint;
    let call = SafeMap { granter, write: 1, grant: theirs, offset: 0, address: PLACE, len: PAGE_SIZE };
    while last.calls(&call)??.done == 0 {}
    last.write(PLACE, 9)?;
    check_eq!(other.read(PLACE)?, 9);
    other.end()?;
    last.end()?;
    three.end()
}

/// Where the granter has no memory at all, nothing is brought.
pub(crate) fn what_nobody_has_is_a_fault() -> Outcome {
    let mut three = Three::start()?;
    let free = free_pages()?;
    let nowhere = PLACE + 2 * three.len;
    let granted = grant(&mut three.owner, three.user.endpoint, nowhere, 1 << 40)?;
    let granter = three.owner.endpoint;
    for offset in [0, 1 << 30, (1 << 40) - PAGE_SIZE] {
        let fill = SafeMemSet { granter, byte: 7, grant: granted, offset, len: PAGE_SIZE };
        check_eq!(three.user.calls(&fill)?.err(), Some(Errno::Fault));
        let map = SafeMap { granter, write: 1, grant: granted, offset, address: PLACE, len: PAGE_SIZE };
        check_eq!(three.user.calls(&map)?.err(), Some(Errno::Fault));
    }
    check!(free_pages()? + 16 >= free, "{} of {free} pages are free", free_pages()?);
    three.all_go_on()?;
    three.end()
}
