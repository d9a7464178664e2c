//! Services begin and end.

use crate::kit::*;
use abi::layout::STACK_TOP;
use abi::{Endpoint, Errno};
use protocol::assist::Deed;
use protocol::rs::Init;
use suite::{Failure, Outcome, check, check_eq};

pub(crate) fn boot_services_are_known_by_their_labels() -> Outcome {
    for label in ["vm", "pm", "ds", "suite", "hello"] {
        // The suite is more urgent than those that begin behind it.
        let info = until_active(label)?;
        check_eq!(lookup(label)?, info.endpoint);
        check_eq!(info.restarts, 0);
    }
    check_eq!(lookup("nobody"), Err(Errno::Srch));
    check!(info("pm")?.pid > 0 && info("ds")?.pid > 0, "services have pids");
    Ok(())
}

/// Several services of one program at once, of which the first has no label of its own.
fn begin_and_end(others: &[&str]) -> Outcome {
    for label in [""].iter().chain(others) {
        let endpoint = up(ASSIST, label)?;
        let label = if label.is_empty() { ASSIST } else { label };
        check_eq!(lookup(label)?, endpoint);
        check_eq!(count(endpoint)?.how, Init::Fresh as u32);
        check_eq!(up(ASSIST, label), Err(Errno::Busy));
    }
    for label in [ASSIST].iter().chain(others) {
        let endpoint = lookup(label)?;
        down(label)?;
        check_eq!(lookup(label), Err(Errno::Srch));
        check_eq!(count(endpoint).map(drop), Err(Errno::DeadSrcDst));
        check_eq!(down(label), Err(Errno::Srch));
    }
    Ok(())
}

pub(crate) fn a_service_begins_and_ends_on_request() -> Outcome {
    // The servers have had room for more of them then.
    begin_and_end(&["a", "b", "c", "d", "e", "f"])?;
    let before = supplies()?;
    for _ in 0..3 {
        begin_and_end(&["a", "b"])?;
    }
    check_eq!(supplies()?, before);
    check_eq!(up("nothing", ""), Err(Errno::NoEnt));
    check_eq!(up(ASSIST, "BAD"), Err(Errno::Inval));
    check_eq!(supplies()?, before);
    Ok(())
}

/// The bytes that a process has got as `AT_RANDOM`.
fn random_bytes(process: Endpoint) -> Result<[u8; 16], Failure> {
    /// Enough for the whole frame of a program that has its name as its argument.
    const FRAME: usize = 1024;
    const AT_RANDOM: u64 = 25;
    let (start, mut frame) = (STACK_TOP - FRAME as u64, [0; FRAME]);
    rt::read_from(process, start, &mut frame)?;
    let (words, _) = frame.as_chunks::<8>();
    for pair in words.windows(2) {
        let [kind, value] = [pair[0], pair[1]].map(u64::from_le_bytes);
        let bytes = value.checked_sub(start).and_then(|at| frame.get(at as usize..)?.first_chunk());
        if let Some(bytes) = bytes.filter(|_| kind == AT_RANDOM) {
            return Ok(*bytes);
        }
    }
    suite::fail!("there are none")
}

/// Whether the memory server has loaded it at boot, or the root system process later or again.
pub(crate) fn nobody_has_the_random_bytes_of_another() -> Outcome {
    let mut seen = [[0; 16]; 6];
    let mut is_new = |bytes: [u8; 16]| {
        let is_new = !seen.contains(&bytes);
        seen.rotate_right(1);
        seen[0] = bytes;
        is_new
    };
    for label in ["pm", "ds", HELLO] {
        check!(is_new(random_bytes(lookup(label)?)?), "{label}");
    }
    with(ASSIST, "", |endpoint| {
        check!(is_new(random_bytes(endpoint)?));
        // The same program under the same name.
        check_eq!(refresh(ASSIST)?, endpoint);
        check!(is_new(random_bytes(endpoint)?));
        Ok(())
    })
}

pub(crate) fn one_that_cannot_begin_is_gone() -> Outcome {
    let before = supplies()?;
    check_eq!(up("assist-fail", ""), Err(Errno::Io));
    check_eq!(lookup("assist-fail"), Err(Errno::Srch));
    check_eq!(up("assist-crash", ""), Err(Errno::DeadSrcDst));
    check_eq!(lookup("assist-crash"), Err(Errno::Srch));
    check_eq!(supplies()?, before);
    Ok(())
}

pub(crate) fn one_that_never_begins_is_gone() -> Outcome {
    let before = supplies()?;
    check_eq!(up("assist-hang", ""), Err(Errno::TimedOut));
    check_eq!(lookup("assist-hang"), Err(Errno::Srch));
    check_eq!(supplies()?, before);
    Ok(())
}

pub(crate) fn one_that_will_not_end_is_ended() -> Outcome {
    let endpoint = up(ASSIST, "")?;
    check_eq!(does(endpoint, Deed::IgnoreTerm)?, 0);
    down(ASSIST)?;
    check_eq!(lookup(ASSIST), Err(Errno::Srch));
    Ok(())
}

pub(crate) fn a_service_begins_anew_on_request() -> Outcome {
    with(ASSIST, "", |endpoint| {
        count(endpoint)?;
        check_eq!(restart(ASSIST), Err(Errno::Busy));
        let after = refresh(ASSIST)?;
        check_eq!(after, endpoint);
        let counted = count(after)?;
        check_eq!((counted.calls, counted.how), (1, Init::Restart as u32));
        check!(lookup(ASSIST)? != Endpoint::NONE);
        Ok(())
    })
}
