//! Who is told of what.

use crate::actor::{Actor, begin, inline};
use abi::Errno;
use ds_client::{EntryKind, SubscribeFlags};
use suite::{Outcome, check_eq};

const NONE: SubscribeFlags = SubscribeFlags::empty();

pub(crate) fn several_changes_are_one_notice() -> Outcome {
    begin()?;
    let (mut a, mut b) = (Actor::find("a")?, Actor::find("b")?);
    b.subscribe(r"drv\.blk\..*", NONE)?;
    a.number("drv.blk.disk", 1)?;
    a.number("drv.net.card", 1)?;
    check_eq!(b.notices()?, 1);
    a.number("drv.blk.other", 1)?;
    a.number("drv.blk.disk", 1)?;
    check_eq!((b.check()?, b.check()?), (inline("drv.blk.disk"), inline("drv.blk.other")));
    check_eq!(b.check(), Err(Errno::NoEnt));
    check_eq!(a.notices()?, 0);
    Ok(())
}

pub(crate) fn a_removal_is_a_notice_and_nothing_more() -> Outcome {
    begin()?;
    let (mut a, mut b) = (Actor::find("a")?, Actor::find("b")?);
    a.number("abc", 1)?;
    b.subscribe("a.c", NONE)?;
    a.number("abc", 1)?;
    a.delete("abc", EntryKind::Number)?;
    check_eq!((b.notices()? > 0, b.check()), (true, Err(Errno::NoEnt)));
    a.number("xabc", 1)?;
    a.number("abcd", 1)?;
    check_eq!((b.notices()?, b.check()), (0, Err(Errno::NoEnt)));
    Ok(())
}

pub(crate) fn what_is_there_is_told_at_first() -> Outcome {
    begin()?;
    let (mut a, mut b) = (Actor::find("a")?, Actor::find("b")?);
    b.subscribe("n.*", SubscribeFlags::INITIAL)?;
    check_eq!((b.notices()?, b.check()), (0, Err(Errno::NoEnt)));
    a.number("n1", 1)?;
    a.number("n2", 1)?;
    b.notices()?;
    b.subscribe("n.*", SubscribeFlags::INITIAL)?;
    check_eq!(b.notices()?, 1);
    check_eq!((b.check()?, b.check()?, b.check()), (inline("n1"), inline("n2"), Err(Errno::NoEnt)));
    Ok(())
}

pub(crate) fn bad_patterns_are_refused() -> Outcome {
    begin()?;
    let mut b = Actor::find("b")?;
    for pattern in ["(", "*", "a**", "[", "a|", "^a", "\\"] {
        check_eq!((pattern, b.subscribe(pattern, NONE)), (pattern, Err(Errno::Inval)));
    }
    check_eq!(b.check(), Err(Errno::Srch));
    b.subscribe("a*a*a*a*a*a*a*a*a*a*a*a*b", NONE)?;
    Actor::find("a")?.number("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1)?;
    check_eq!((b.notices()?, b.check()), (0, Err(Errno::NoEnt)));
    Ok(())
}
