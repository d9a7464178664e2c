//! Services have arguments.

use crate::kit::*;
use abi::grant::GrantId;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use protocol::assist::Deed;
use protocol::rs::{MAX_ARGUMENTS, Up};
use protocol::vm::{Map, MapFlags, Unmap};
use protocol::vmctl::Access;
use suite::{Outcome, check_eq};
use sys::Ipc;
use sys::grants::scope;

pub(crate) fn a_service_has_its_arguments_whatever_becomes_of_it() -> Outcome {
    let before = supplies()?;
    let endpoint = up_with(ASSIST, "a", b"one  two")?;
    check_argument(endpoint, 0, ASSIST)?;
    check_arguments(endpoint, &["one", "two"])?;
    check_eq!(does(endpoint, Deed::Panic), Err(Errno::DeadSrcDst));
    check_eq!(until_active("a")?.restarts, 1);
    check_arguments(endpoint, &["one", "two"])?;
    refresh("a")?;
    check_arguments(endpoint, &["one", "two"])?;
    update("a", ASSIST, sef::state::WORK_FREE)?;
    check_arguments(endpoint, &["one", "two"])?;
    down("a")?;
    // The next one in this place has none of them.
    with(ASSIST, "b", |endpoint| check_arguments(endpoint, &[]))?;
    check_eq!(supplies()?, before);
    Ok(())
}

pub(crate) fn words_are_told_apart_by_spaces_or_zero_bytes() -> Outcome {
    let long = [b'x'; MAX_ARGUMENTS as usize];
    let cases: &[(&[u8], &[&str])] = &[
        (b"", &[]),
        (b"   ", &[]),
        (b" -a\tb ", &["-a\tb"]),
        (b"up\0a b\0\0c", &["up", "a b", "", "c"]),
        (b"end\0", &["end"]),
        (b"\0", &[""]),
    ];
    for (text, words) in cases {
        let endpoint = if text.is_empty() { up(ASSIST, "")? } else { up_with(ASSIST, "", text)? };
        let result = check_arguments(endpoint, words);
        down(ASSIST)?;
        result?;
    }
    up_with(ASSIST, "", &long)?;
    down(ASSIST)?;
    Ok(())
}

pub(crate) fn arguments_that_cannot_be_read_start_nobody() -> Outcome {
    // The page table for it stays.
    unmap_page(map_page()?.0)?;
    let before = supplies()?;
    check_eq!(up_with(ASSIST, "", &[b'x'; MAX_ARGUMENTS as usize + 1]), Err(Errno::TooBig));
    let mut root = root()?;
    let me = root.to;
    let mut asks = |arguments, len| {
        let call = Up { program: name(ASSIST), label: name(ASSIST), arguments, len };
        root.up(call).map(drop)
    };
    check_eq!(asks(GrantId::INVALID, u64::MAX), Err(Errno::TooBig));
    check_eq!(asks(GrantId::INVALID, 1), Err(Errno::Inval));
    let ds = lookup("ds")?;
    scope(|scope| -> Outcome {
        let (short, foreign) = (scope.read(b"four", me)?, scope.read(b"four", ds)?);
        check_eq!(asks(short.id(), 5), Err(Errno::Perm));
        check_eq!(asks(foreign.id(), 4), Err(Errno::Perm));
        let gone = short.id();
        drop(short);
        check_eq!(asks(gone, 4), Err(Errno::Perm));
        Ok(())
    })?;
    let (address, page) = map_page()?;
    scope(|scope| -> Outcome {
        let lent = scope.read(page, me)?;
        unmap_page(address)?;
        check_eq!(asks(lent.id(), 8), Err(Errno::Fault));
        Ok(())
    })?;
    check_eq!(lookup(ASSIST), Err(Errno::Srch));
    check_eq!(supplies()?, before);
    Ok(())
}

/// A page that is there.
fn map_page() -> Result<(u64, &'static [u8]), Errno> {
    let flags = (MapFlags::ANONYMOUS | MapFlags::PREALLOCATED).bits();
    let call =
        Map { address: 0, len: PAGE_SIZE, offset: 0, flags, access: Access::Write, fd: -1, process: Endpoint::SELF };
    let address = vm()?.mmap(call)?.address;
    // SAFETY: it has just been mapped, and nobody looks at it when it is not any more.
    Ok((address, unsafe { core::slice::from_raw_parts(address as *const u8, PAGE_SIZE as usize) }))
}

fn unmap_page(address: u64) -> Result<(), Errno> {
    vm()?.munmap(Unmap { address, len: PAGE_SIZE, process: Endpoint::SELF, reserved: 0 }).map(drop)
}

fn vm() -> Result<protocol::vm::Client<Ipc>, Errno> {
    Ok(protocol::vm::Client { to: lookup("vm")?, transport: Ipc::default() })
}
