//! What the kernel tells the suite of its children.

use crate::board::Board;
use crate::child::Child;
use crate::watch::spin;
use abi::event::{MemoryWait, SystemEvent};
use abi::{Endpoint, Errno, Signal};
use protocol::kernel::EndKSig;
use suite::{Failure, Outcome, check_eq};

/// Waits for a notification of the kernel.
///
/// # Errors
/// That nothing can be received.
pub fn next_event() -> Result<SystemEvent, Errno> {
    rt::receive(Endpoint::SYSTEM).map(|received| SystemEvent::read(&received.message.body))
}

/// Waits until a child has a signal, which must be this one alone, and takes it.
///
/// # Errors
/// Another child has one, or another signal came.
pub fn signal(child: &Child, signal: Signal) -> Outcome {
    loop {
        // A notification may be about somebody who has ended since.
        if let Some((who, signals)) = next_event()?.signaled {
            check_eq!((who, signals), (child.endpoint, signal.bit()));
            return Ok(());
        }
    }
}

/// Waits until a child needs memory.
///
/// # Errors
/// Another one does.
pub fn fault(child: &Child) -> Result<MemoryWait, Failure> {
    loop {
        if let Some(wait) = next_event()?.memory {
            check_eq!(wait.requestor, child.endpoint);
            return Ok(wait);
        }
    }
}

/// The signals of a child have been dealt with.
///
/// # Errors
/// It has none.
pub fn finish(child: &Child) -> Outcome {
    sys::kernel().endksig(EndKSig { process: child.endpoint })?;
    Ok(())
}

/// A child that counts does not any more.
///
/// # Errors
/// It does.
pub fn frozen(board: &Board) -> Outcome {
    const MOMENT: u64 = 2000;
    let count = board.get(Board::COUNT);
    spin(MOMENT);
    check_eq!(board.get(Board::COUNT), count);
    Ok(())
}
