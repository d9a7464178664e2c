//! User processes and the process manager, which they belong to.

use crate::{Ipc, exit, lookup};
use protocol::pm::{Client, Exit};

/// What it is called.
const NAME: &str = "pm";

/// Carries calls of the process manager; `None` if there is none.
#[must_use]
pub fn process_manager() -> Option<Client<Ipc>> {
    lookup(NAME).map(|to| Client { to, transport: Ipc::default() })
}

/// Ends a user process: the process manager tells its status to whoever waits for it, the lowest eight bits. Where there is none, the process
/// ends as services do.
pub fn exit_user(status: u32) -> ! {
    if let Some(mut manager) = process_manager() {
        // There is no answer, except that it cannot be asked.
        let _ = manager.exit(Exit { code: status, reserved: 0 });
    }
    exit(status.into())
}
