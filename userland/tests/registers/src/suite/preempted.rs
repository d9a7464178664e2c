//! Registers while other programs have their turns.

use crate::program;
use abi::Message;
use protocol::{Call, decode, encode};
use registers::mirror::Spend;
use registers::report::Spent;
use registers::spend_time;
use suite::{Outcome, check, check_eq, fail};

/// Chosen once; each program has its own pattern.
const SEEDS: [u64; 4] = [0x1000, 0x2003, 0x300c, 0x4005];

pub(crate) fn three_programs_keep_their_registers() -> Outcome {
    let mirrors = [program("b")?, program("c")?];
    for seed in SEEDS {
        for (mirror, seed) in mirrors.into_iter().zip([seed + 0x10, seed + 0x20]) {
            rt::send(&Message { peer: mirror, ..encode(Spend::KIND, &Spend { seed }) })?;
        }
        let mine = match spend_time(seed) {
            Ok(mine) => mine,
            Err(what) => fail!("time has changed {what}"),
        };
        for mirror in mirrors {
            let message = rt::receive(mirror)?.message;
            check_eq!(message.kind, Spent::KIND);
            let spent: Spent = decode(&message)?;
            check_eq!(spent.trouble, 0);
            check!(
                spent.start < mine.end && mine.start < spent.end,
                "turns {}..{} and {}..{} do not overlap",
                mine.start,
                mine.end,
                spent.start,
                spent.end
            );
        }
    }
    Ok(())
}
