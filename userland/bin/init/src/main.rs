//! The first user process. The other user processes of the boot table are its children, and so are orphans: it waits for them, and says how each
//! has ended. If it ends itself, so does the system.
#![no_std]
#![no_main]

use abi::Errno;
use abi::boot::{MAX_PROGRAMS, NAME_LEN};
use core::fmt;
use protocol::pm::{Client, GetProcessStatus, SigSuspend, Wait4, status};
use sys::Ipc;

sys::entry!(main);

/// The pid of this program.
const MY_PID: u32 = 1;
/// For [`Wait4`]: any child.
const ANY: i32 = -1;

/// A child that was there first.
#[derive(Clone, Copy, Default)]
struct Child {
    pid: u32,
    name: [u8; NAME_LEN],
}

/// A process in a line for people.
struct Who<'a> {
    pid: u32,
    children: &'a [Child],
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.children.iter().find(|child| child.pid == self.pid) {
            Some(child) => f.write_str(sys::name_of(&child.name)),
            None => write!(f, "process {}", self.pid),
        }
    }
}

fn main() -> u64 {
    let Some(mut pm) = sys::process_manager() else {
        sys::log!("there is no process manager in this image");
        return 1;
    };
    let children = &children(&mut pm);
    loop {
        let error = match pm.wait4(Wait4 { pid: ANY, options: 0 }) {
            Ok(waited) => {
                say(&Who { pid: waited.pid, children }, waited.status);
                continue;
            }
            // Whoever comes later is a child of somebody who is there now.
            Err(Errno::Child) => pm.sigsuspend(SigSuspend { set: u64::MAX }).err(),
            Err(error) => Some(error),
        };
        sys::log!("cannot wait: {}", error.unwrap_or(Errno::Proto));
        return 1;
    }
}

fn say(who: &Who<'_>, how: u32) {
    match (status::code(how), status::signal(how)) {
        (Some(code), _) => sys::log!("{who} exited, status {code}"),
        (None, Some(signal)) => sys::log!("{who} was ended by signal {signal}"),
        (None, None) => {}
    }
}

/// Those of the boot table.
fn children(pm: &mut Client<Ipc>) -> [Child; MAX_PROGRAMS] {
    let mut children = [Child::default(); MAX_PROGRAMS];
    for (child, program) in children.iter_mut().zip(sys::boot_programs()) {
        let slot = program.endpoint.slot() as u32;
        if let Ok(process) = pm.process(GetProcessStatus { slot, reserved: 0 })
            && process.parent == MY_PID
        {
            *child = Child { pid: process.pid, name: program.name };
        }
    }
    children
}
