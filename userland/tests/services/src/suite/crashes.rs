//! Services crash and come back.

use crate::kit::*;
use abi::Errno;
use protocol::assist::Deed;
use protocol::cdev::{Close, IoCtl};
use protocol::ds::{self, Delete, EntryKind, Key, Publish, Retrieve};
use protocol::rs::{Init, Reason, State};
use suite::{Outcome, check, check_eq};
use sys::Ipc;

/// How often a service is made to crash, one time after the other.
const MANY: u32 = 20;

pub(crate) fn a_service_that_crashes_comes_back_under_its_name() -> Outcome {
    for deed in [Deed::WriteToNull, Deed::Panic, Deed::Exit] {
        with(ASSIST, "", |endpoint| {
            count(endpoint)?;
            check_eq!(does(endpoint, deed), Err(Errno::DeadSrcDst));
            let after = until_active(ASSIST)?;
            check_eq!(after.endpoint, endpoint);
            check_eq!((after.restarts, after.reason), (1, Reason::Crash));
            let counted = count(endpoint)?;
            check_eq!((counted.calls, counted.how), (1, Init::Restart as u32));
            Ok(())
        })?;
    }
    Ok(())
}

pub(crate) fn whoever_waits_for_it_is_told() -> Outcome {
    let hello = open_hello()?;
    let opens = ask_hello(hello, hello::GET_OPENS)?;
    check!(opens > 0);
    sys::kernel().kill(protocol::kernel::Kill { process: hello, signal: 9 })?;
    // Whatever comes first: the instance that is dead, or the next one, which has nothing open.
    let error = ask_hello(hello, hello::GET_OPENS).err();
    check!(matches!(error, Some(Errno::DeadSrcDst | Errno::Restart)), "it is {error:?}");
    check_eq!(until_active(HELLO)?.endpoint, hello);
    check_eq!(ask_hello(hello, hello::GET_OPENS), Err(Errno::Restart));
    check_eq!(send(hello, &Close { minor: 0 }).map(drop), Err(Errno::Restart));
    check_eq!(open_hello()?, hello);
    check_eq!(ask_hello(hello, hello::GET_OPENS)?, 1);
    let unknown = IoCtl { minor: 0, request: 77, grant: abi::grant::GrantId::INVALID };
    check_eq!(send(hello, &unknown).map(drop), Err(Errno::NoTty));
    let mut text = [0; 20];
    check_eq!(read_hello(hello, 0, &mut text)?, hello::TEXT.len() as u64);
    check_eq!(&text[..hello::TEXT.len()], hello::TEXT);
    check_eq!(read_hello(hello, 7, &mut text[..3])?, 3);
    check_eq!(&text[..3], &hello::TEXT[7..10]);
    check_eq!(read_hello(hello, 1000, &mut text)?, 0);
    Ok(())
}

/// What the data store says of a key.
fn stored(key: &str, kind: EntryKind) -> Result<u64, Errno> {
    let mut store = ds::Client { to: lookup("ds")?, transport: Ipc::default() };
    let key = Key::new(key.as_bytes()).ok_or(Errno::Inval)?;
    let grant = abi::grant::GrantId::INVALID;
    store.retrieve(Retrieve { key, kind, capacity: 0, reserved: 0, grant }).map(|found| found.value)
}

pub(crate) fn the_announcement_is_renewed() -> Outcome {
    check_eq!(stored("drv.chr.hello", EntryKind::Number)?, 1);
    check_eq!(stored("hello", EntryKind::Label)?, u64::from(lookup(HELLO)?.raw()));
    with(ASSIST, "", |endpoint| {
        check_eq!(stored(ASSIST, EntryKind::Label)?, u64::from(endpoint.raw()));
        Ok(())
    })?;
    check_eq!(stored(ASSIST, EntryKind::Label), Err(Errno::Srch));
    Ok(())
}

/// How often the data store dies, and how often it is replaced.
const STORES: u64 = 5;

pub(crate) fn the_data_store_forgets_nothing() -> Outcome {
    const KEY: &str = "suite.number";
    let store = lookup("ds")?;
    let key = Key::new(KEY.as_bytes()).ok_or(Errno::Inval)?;
    let restarts = info("ds")?.restarts;
    for round in 1..=STORES {
        let flags = ds::Flags::OVERWRITE.bits();
        send(store, &Publish { key, kind: EntryKind::Number, flags, len: 0, value: round })?;
        if round % 2 == 0 {
            update("ds", "ds", sef::state::WORK_FREE)?;
        } else {
            let before = info("ds")?.restarts;
            sys::kernel().kill(protocol::kernel::Kill { process: store, signal: 9 })?;
            comes_back("ds", before + 1, true)?;
            check_eq!(lookup("ds")?, store);
        }
        check_eq!(stored(KEY, EntryKind::Number)?, round);
        check_eq!(stored(HELLO, EntryKind::Label)?, u64::from(lookup(HELLO)?.raw()));
        // What has happened to others meanwhile it learns as before.
        with(ASSIST, "", |endpoint| {
            check_eq!(stored(ASSIST, EntryKind::Label)?, u64::from(endpoint.raw()));
            Ok(())
        })?;
    }
    check_eq!(u64::from(info("ds")?.restarts - restarts), STORES.div_ceil(2));
    send(store, &Delete { key, kind: EntryKind::Number })?;
    Ok(())
}

pub(crate) fn a_service_that_crashes_and_crashes_waits_and_is_given_up() -> Outcome {
    // Its policy: three restarts, with two periods between them at most.
    let endpoint = up("assist-limit", "")?;
    let mut waited = false;
    for crash in 1..=3 {
        check_eq!(does(endpoint, Deed::Panic), Err(Errno::DeadSrcDst));
        waited |= info("assist-limit")?.state == State::Waiting;
        check_eq!(until_active("assist-limit")?.restarts, crash);
    }
    check!(waited, "it never had to wait");
    check_eq!(does(endpoint, Deed::Panic), Err(Errno::DeadSrcDst));
    check_eq!(info("assist-limit")?.state, State::GivenUp);
    check_eq!(lookup("assist-limit"), Err(Errno::Srch));
    check_eq!(count(endpoint).map(drop), Err(Errno::DeadSrcDst));
    let again = restart("assist-limit")?;
    check!(again != endpoint, "nobody was left to have its name");
    check_eq!(count(again)?.how, Init::Restart as u32);
    down("assist-limit")?;
    Ok(())
}

pub(crate) fn many_crashes_leave_everything_as_it_was() -> Outcome {
    with(ASSIST, "", |endpoint| {
        does(endpoint, Deed::Panic).err();
        until_active(ASSIST)?;
        let before = supplies()?;
        for _ in 0..MANY {
            check_eq!(does(endpoint, Deed::Panic), Err(Errno::DeadSrcDst));
            check_eq!(until_active(ASSIST)?.endpoint, endpoint);
            check_eq!(count(endpoint)?.calls, 1);
        }
        check_eq!(supplies()?, before);
        Ok(())
    })
}
