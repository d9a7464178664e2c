//! Copies where memory is missing. The suite is the memory server, or the image has one, which is held until the test has seen what
//! it wants to see.

use crate::kit::*;
use crate::pager::{READS, WRITES, answer, bring, nobody_waits, wanted, writable_again};
use crate::party::Party;
use abi::grant::{GrantEntry, GrantFlags, GrantId};
use abi::{Endpoint, Errno};
use family::kit::{called, nap, order_call, received, result, settle};
use family::{Board, fault, go_on, hold, is_served, protect};
use protocol::kernel::*;
use protocol::vmctl::{Access, AnswerRequest};
use suite::{Failure, Outcome, check, check_eq};
use sys::grants::Received;
use sys::{kernel, vmctl};

/// Somebody whose memory it is, and somebody who copies.
struct Pair {
    owner: Granter,
    user: Granter,
}

/// Where the copies begin, in both of them, and how long they are: across the border of two pages.
const PLACE: u64 = DATA.address() + 0xff0;
const SPAN: u64 = 0x40;
/// The words of [`Pair::words`].
const COUNT: usize = SPAN as usize / 8;

impl Pair {
    fn start() -> Result<Self, Failure> {
        let pair = Self { owner: Granter::start()?, user: Granter::start()? };
        (0..1024).for_each(|i| pair.page(&pair.owner, i).set(i % 512, !(i as u64)));
        pair.owner.grant_data(pair.user.endpoint(), BOTH);
        Ok(pair)
    }

    fn page<'a>(&self, of: &'a Granter, word: usize) -> &'a Board {
        of.0.home.page(if word < 512 { DATA } else { MORE })
    }

    /// The words that are copied.
    fn words(&self, of: &Granter) -> [u64; COUNT] {
        core::array::from_fn(|i| of.word(0xff0 / 8 + i))
    }

    /// From the owner to the user, all of both pages' border.
    fn from(&self) -> SafeCopyFrom {
        let granter = self.owner.endpoint();
        let offset = PLACE - DATA.address();
        SafeCopyFrom { granter, reserved: 0, grant: id(0), offset, address: PLACE, len: SPAN }
    }

    fn to(&self) -> SafeCopyTo {
        let SafeCopyFrom { granter, reserved, grant, offset, address, len } = self.from();
        SafeCopyTo { granter, reserved, grant, offset, address, len }
    }

    /// The user has ended so many calls, the last one with this.
    #[track_caller]
    fn ended(&self, before: u64, with: Result<u64, Errno>) -> Outcome {
        let line = core::panic::Location::caller().line();
        check_eq!((line, traps(&self.user.0)), (line, before + 1));
        let done = result(&self.user.0).map(|_| received(&self.user.0).body[0]);
        check_eq!((line, done), (line, with));
        Ok(())
    }

    fn end(self) -> Outcome {
        self.owner.end()?;
        self.user.end()
    }
}

pub(crate) fn a_missing_source_is_waited_for() -> Outcome {
    let pair = Pair::start()?;
    let Pair { owner, user } = &pair;
    for missing in [&[DATA][..], &[MORE], &[DATA, MORE]] {
        missing.iter().try_for_each(|page| take(&owner.0, *page))?;
        let (before, kept) = (traps(&user.0), pair.words(user));
        hold()?;
        order_call(&user.0, &pair.from())?;
        let wait = wanted(user, owner, PLACE, SPAN, READS)?;
        check_eq!((traps(&user.0), pair.words(user)), (before, kept));
        bring(&owner.0.home, &wait)?;
        answer(user.endpoint(), true)?;
        pair.ended(before, Ok(SPAN))?;
        check_eq!(pair.words(user), pair.words(owner));
        user.0.home.page(MORE).set(0, 1);
        // A page that came for reading stays so; a source need not be writable.
        order_call(&user.0, &pair.from())?;
        pair.ended(before + 1, Ok(SPAN))?;
        missing.iter().try_for_each(|page| writable_again(&owner.0.home, *page))?;
    }
    pair.end()
}

pub(crate) fn a_missing_destination_is_waited_for_to_be_written() -> Outcome {
    let pair = Pair::start()?;
    let Pair { owner, user } = &pair;
    // The destination of the first is the user's own memory, that of the second the owner's.
    for (own, of) in [(true, user), (false, owner)] {
        for read_only in [false, true] {
            if read_only && is_served() {
                // What the server lets be written can be written; what it shares out until then is another test's.
                continue;
            }
            for page in [DATA, MORE] {
                match read_only {
                    true => protect(of.0.home.space, page.address(), Access::Read)?,
                    false => take(&of.0, page)?,
                }
            }
            user.0.home.page(DATA).set(511, if read_only { 5 } else { 6 });
            let before = traps(&user.0);
            hold()?;
            if own {
                order_call(&user.0, &pair.from())?
            } else {
                order_call(&user.0, &pair.to())?
            }
            let wait = wanted(user, of, PLACE, SPAN, WRITES)?;
            check!(pair.words(user) != pair.words(owner), "something was copied");
            bring(&of.0.home, &wait)?;
            answer(user.endpoint(), true)?;
            pair.ended(before, Ok(SPAN))?;
            check_eq!(pair.words(user), pair.words(owner));
        }
    }
    pair.end()
}

pub(crate) fn both_sides_missing_are_two_waits() -> Outcome {
    let pair = Pair::start()?;
    let Pair { owner, user } = &pair;
    take(&owner.0, MORE)?;
    take(&user.0, DATA)?;
    let before = traps(&user.0);
    hold()?;
    order_call(&user.0, &pair.from())?;
    for (of, access) in [(owner, READS), (user, WRITES)] {
        let wait = wanted(user, of, PLACE, SPAN, access)?;
        check_eq!(traps(&user.0), before);
        bring(&of.0.home, &wait)?;
        answer(user.endpoint(), true)?;
        if is_served() {
            // Once it goes on, the server hears of the second, too.
            break;
        }
    }
    pair.ended(before, Ok(SPAN))?;
    check_eq!(pair.words(user), pair.words(owner));
    pair.end()
}

pub(crate) fn what_cannot_be_brought_is_a_fault_and_nothing_is_copied() -> Outcome {
    let pair = Pair::start()?;
    let Pair { owner, user } = &pair;
    let calls: [&dyn Fn() -> Outcome; 2] = [&|| order_call(&user.0, &pair.from()), &|| order_call(&user.0, &pair.to())];
    for call in calls {
        owner.0.home.remove(MORE)?;
        let (before, kept) = (traps(&user.0), (user.sum(), owner.sum()));
        hold()?;
        call()?;
        if !is_served() {
            fault(&user.0)?;
        }
        answer(user.endpoint(), false)?;
        pair.ended(before, Err(Errno::Fault))?;
        check!((user.sum(), owner.sum()) == kept, "something was copied");
        owner.0.home.map_page(MORE, Access::Write)?;
    }
    // Where no program has memory nobody is asked.
    let before = traps(&user.0);
    for (i, address) in [0, 8, 1 << 63, u64::MAX - 8, 0x7fff_ffff_f000].into_iter().enumerate() {
        order_call(&user.0, &SafeCopyFrom { address, len: 8, ..pair.from() })?;
        pair.ended(before + i as u64, Err(Errno::Fault))?;
    }
    nobody_waits()?;
    pair.end()
}

pub(crate) fn what_is_taken_back_meanwhile_is_not_used() -> Outcome {
    let pair = Pair::start()?;
    let Pair { owner, user } = &pair;
    for told in [false, true] {
        take(&owner.0, DATA)?;
        owner.grant_data(user.endpoint(), BOTH);
        let (before, kept) = (traps(&user.0), user.sum());
        hold()?;
        order_call(&user.0, &pair.from())?;
        let wait = if told { Some(wanted(user, owner, PLACE, SPAN, READS)?) } else { None };
        owner.grant(0, GrantEntry { sequence: 1, ..GrantEntry::FREE });
        let wait = wait.map_or_else(|| wanted(user, owner, PLACE, SPAN, READS), Ok)?;
        bring(&owner.0.home, &wait)?;
        answer(user.endpoint(), true)?;
        pair.ended(before, Err(Errno::Perm))?;
        check!(user.sum() == kept, "something was copied");
        writable_again(&owner.0.home, DATA)?;
    }
    pair.end()
}

pub(crate) fn whoever_dies_while_it_waits_leaves_no_request() -> Outcome {
    for told in [false, true] {
        let Pair { owner, user } = Pair::start()?;
        take(&owner.0, DATA)?;
        let call = SafeCopyFrom {
            granter: owner.endpoint(),
            reserved: 0,
            grant: id(0),
            offset: 0,
            address: DATA.address(),
            len: 8,
        };
        hold()?;
        order_call(&user.0, &call)?;
        if told {
            wanted(&user, &owner, DATA.address(), 8, READS)?;
        }
        let process = user.endpoint();
        kernel().clear(Clear { process })?;
        go_on()?;
        user.0.home.end()?;
        nobody_waits()?;
        check_eq!(vmctl().answer_request(AnswerRequest { process, available: 1 }).err(), Some(Errno::Inval));
        // A notification of it may be on its way, about nobody.
        nap(1)?;
        // The granter goes on: it does what it is told, and its grants hold.
        owner.0.home.map_page(DATA, Access::Write)?;
        called(&owner.0, &Times {})??;
        usable(owner.grant_data(family::me()?, BOTH), 0)?;
        owner.end()?;
    }
    Ok(())
}

pub(crate) fn when_the_owner_dies_the_copy_fails_and_leaves_no_request() -> Outcome {
    for told in [false, true] {
        let Pair { owner, user } = Pair::start()?;
        take(&owner.0, DATA)?;
        let granter = owner.endpoint();
        let (grant, address) = (id(0), DATA.address());
        let before = traps(&user.0);
        hold()?;
        order_call(&user.0, &SafeCopyFrom { granter, reserved: 0, grant, offset: 0, address, len: 8 })?;
        if told {
            wanted(&user, &owner, address, 8, READS)?;
        }
        kernel().clear(Clear { process: granter })?;
        nobody_waits()?;
        if told || is_served() {
            // The answer that was on its way is taken, whatever it says.
            answer(user.endpoint(), false)?;
        }
        nap(1)?;
        settle()?;
        check_eq!((traps(&user.0), result(&user.0)), (before + 1, Err(Errno::Inval)));
        owner.0.home.end()?;
        user.end()?;
    }
    Ok(())
}

pub(crate) fn whoever_hands_on_is_not_asked_for_memory() -> Outcome {
    let (pair, middle) = (Pair::start()?, Granter::start()?);
    let Pair { owner, user } = &pair;
    let theirs = owner.grant_data(middle.endpoint(), READ);
    middle.grant(0, indirect(user.endpoint(), BOTH, theirs, 8, LEN - 8));
    take(&owner.0, MORE)?;
    let before = traps(&user.0);
    let offset = PLACE - DATA.address() - 8;
    hold()?;
    order_call(&user.0, &SafeCopyFrom { granter: middle.endpoint(), offset, ..pair.from() })?;
    let wait = wanted(user, owner, PLACE, SPAN, READS)?;
    bring(&owner.0.home, &wait)?;
    answer(user.endpoint(), true)?;
    pair.ended(before, Ok(SPAN))?;
    check_eq!(pair.words(user), pair.words(owner));
    pair.end()?;
    middle.end()
}

pub(crate) fn fills_and_lists_wait_too() -> Outcome {
    let pair = Pair::start()?;
    let Pair { owner, user } = &pair;
    take(&owner.0, MORE)?;
    let before = traps(&user.0);
    let SafeCopyFrom { granter, grant, offset, len, .. } = pair.from();
    hold()?;
    order_call(&user.0, &SafeMemSet { granter, byte: 0x77, grant, offset, len })?;
    bring(&owner.0.home, &wanted(user, owner, PLACE, SPAN, WRITES)?)?;
    answer(user.endpoint(), true)?;
    pair.ended(before, Ok(SPAN))?;
    check_eq!(pair.words(owner), [0x7777_7777_7777_7777; COUNT]);
    // A list stops before a copy that waits, and waits when it is to go on there.
    take(&owner.0, MORE)?;
    let destination = Endpoint::SELF;
    let first = SafeCopy { source: granter, destination, grant, offset: 0, address: DATA.address(), len: 8 };
    let second = SafeCopy { offset: 4096, address: DATA.address() + 8, ..first };
    write_list(user, &[first, second]);
    let list = VSafeCopy { address: MORE.address(), count: 2, first: 0, skip: 0 };
    order_call(&user.0, &list)?;
    settle()?;
    pair.ended(before + 1, Ok(1))?;
    hold()?;
    order_call(&user.0, &VSafeCopy { first: 1, ..list })?;
    bring(&owner.0.home, &wanted(user, owner, MORE.address(), 8, READS)?)?;
    answer(user.endpoint(), true)?;
    pair.ended(before + 2, Ok(2))?;
    check_eq!([user.word(0), user.word(1)], [owner.word(0), owner.word(512)]);
    pair.end()
}

/// Writes a list of copies into the second page of a child.
fn write_list(child: &Granter, list: &[SafeCopy; 2]) {
    let words: [u64; size_of::<[SafeCopy; 2]>() / 8] = zerocopy::transmute!(*list);
    words.into_iter().enumerate().for_each(|(i, word)| child.0.home.page(MORE).set(i, word));
}

/// The same faults as above, but the grant says that nobody is to be asked.
pub(crate) fn trying_fails_at_once_and_leaves_a_mark() -> Outcome {
    let pair = Pair::start()?;
    let Pair { owner, user } = &pair;
    for missing in [owner, user] {
        for to in [false, true] {
            let entry = direct(user.endpoint(), BOTH | GrantFlags::TRY, DATA.address(), LEN);
            let Received { id: grant, .. } = owner.grant(5, GrantEntry { sequence: 3, ..entry });
            let (from, to_grant) = (SafeCopyFrom { grant, ..pair.from() }, SafeCopyTo { grant, ..pair.to() });
            let call = || if to { order_call(&user.0, &to_grant) } else { order_call(&user.0, &from) };
            let before = traps(&user.0);
            call()?;
            pair.ended(before, Ok(SPAN))?;
            check_eq!(owner.mark(5), GrantId::INVALID);
            take(&missing.0, MORE)?;
            // It ends although nobody answers.
            hold()?;
            call()?;
            pair.ended(before + 1, Err(Errno::Fault))?;
            check_eq!(owner.mark(5), grant);
            nobody_waits()?;
            go_on()?;
            missing.0.home.map_page(MORE, Access::Write)?;
        }
    }
    pair.end()
}

/// A party copies with the library, whatever is missing: it notices nothing of it.
pub(crate) fn the_library_notices_nothing() -> Outcome {
    let (owner, party) = (Granter::start()?, Party::start()?);
    let grant = owner.grant_data(party.endpoint(), READ);
    for _ in 0..3 {
        take(&owner.0, DATA)?;
        take(&owner.0, MORE)?;
        let before = party.deeds();
        hold()?;
        party.begin_to_fetch(grant, LEN as usize)?;
        if is_served() {
            settle()?;
            check_eq!(party.fetched(before), None);
        } else {
            bring(&owner.0.home, &fault(&party.0)?)?;
        }
        answer(party.endpoint(), true)?;
        check_eq!(party.fetched(before), Some(Ok(())));
        [DATA, MORE].into_iter().try_for_each(|page| writable_again(&owner.0.home, page))?;
    }
    owner.end()?;
    party.end()
}
