//! Two programs make random traps and kernel calls that get past decoding. The others go on, memory stays what it was, and
//! the kernel, which checks itself meanwhile, finds nothing.
#![no_std]
#![no_main]

mod storm {
    use abi::{Endpoint, Errno};
    use core::cell::UnsafeCell;
    use hostile::random_trap::{Noted, progress_in};
    use hostile::suite::{echo_answers, program};
    use suite::{Outcome, check, check_eq};

    /// Whether the storm lasts as long as it should, or shorter.
    const LONG: bool = option_env!("SELIX_SOAK").is_some();
    /// How many traps are enough.
    const PLAIN: u64 = if LONG { 10_000_000 } else { 100_000 };
    const SERVER: u64 = if LONG { 1_000_000 } else { 100_000 };

    /// Memory of this program, which nobody else knows of.
    struct Memory(UnsafeCell<[u64; 8192]>);

    // SAFETY: a program has one thread.
    unsafe impl Sync for Memory {}

    static MEMORY: Memory = Memory(UnsafeCell::new([0; 8192]));

    fn pattern(index: usize) -> u64 {
        (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Waits until a program has made so many traps. The other one goes on meanwhile.
    fn storms(name: &str, enough: u64) -> Outcome {
        let who = program(name)?;
        // SAFETY: the one thread of this program, and no other reference.
        let memory = unsafe { &mut *MEMORY.0.get() };
        memory.iter_mut().enumerate().for_each(|(index, word)| *word = pattern(index));
        loop {
            let got = rt::receive(Endpoint::ANY)?;
            if let Some(progress) = progress_in(&got.message) {
                check_eq!(progress.wrong, 0);
                echo_answers()?;
                let same = memory.iter().enumerate().all(|(index, word)| *word == pattern(index));
                check!(same, "memory of the suite has changed");
                rt::send_nb(&protocol::reply(&got.message, Ok(&Noted {})))?;
                if got.message.peer == who && progress.traps >= enough {
                    return Ok(());
                }
            } else if got.status.wants_reply() {
                let answer = protocol::reply(&got.message, Err::<&u64, _>(Errno::NoSys));
                let answered = rt::send_nb(&answer);
                check!(answered.is_ok(), "cannot answer a random request: {answered:?}");
            }
        }
    }

    pub(crate) fn a_program_without_privileges() -> Outcome {
        storms("plain", PLAIN)
    }

    pub(crate) fn a_program_with_those_of_a_memory_server() -> Outcome {
        storms("server", SERVER)
    }
}

suite::suite! {
    storm { a_program_without_privileges, a_program_with_those_of_a_memory_server }
}
