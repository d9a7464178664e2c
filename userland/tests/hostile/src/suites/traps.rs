//! A program with few rights makes traps with every register random: it gets nothing but results, and the others go on.
#![no_std]
#![no_main]

mod random {
    use abi::Errno;
    use hostile::random_trap::progress_in;
    use hostile::suite::{echo_answers, program};
    use suite::{Outcome, check, check_eq, fail};

    /// How many traps are enough.
    const TRAPS: u64 = 1_000_000;

    pub(crate) fn a_million_random_traps() -> Outcome {
        let fuzz = program("fuzz")?;
        loop {
            let got = match rt::receive(fuzz) {
                Err(Errno::DeadSrcDst) => fail!("the program that makes the traps is dead"),
                got => got?,
            };
            if let Some(progress) = progress_in(&got.message) {
                check_eq!(progress.wrong, 0);
                echo_answers()?;
                if progress.traps >= TRAPS {
                    return Ok(());
                }
            } else if got.status.wants_reply() {
                let answer = protocol::reply(&got.message, Err::<&u64, _>(Errno::NoSys));
                let answered = rt::send_nb(&answer);
                check!(answered.is_ok(), "cannot answer a random request: {answered:?}");
            }
        }
    }
}

suite::suite! {
    random { a_million_random_traps }
}
