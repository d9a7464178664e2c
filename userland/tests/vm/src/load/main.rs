//! Load for a memory server that is wrong on purpose: whatever becomes of the players, and of the server, this program goes on.
#![no_std]
#![no_main]

#[path = "../suite/player.rs"]
#[allow(dead_code, reason = "the other suite needs more of it")]
mod player;

/// Nobody else has to begin.
fn wait_for_others() -> Result<(), abi::Errno> {
    Ok(())
}

suite::suite! {
    load { a_wrong_server_is_lived_with }
}

mod load {
    use crate::player::{Done, Player, be_patient_for, new_memory, seed, server};
    use abi::layout::PAGE_SIZE;
    use abi::{Endpoint, Errno};
    use protocol::vm::{Access, GetMemory, GetRegion, MapFlags, Remap};
    use suite::Outcome;
    use vm_suite::Do;

    /// Whether it lasts as long as it should, or shorter.
    const LONG: bool = option_env!("SELIX_SOAK").is_some();
    const ROUNDS: u64 = if LONG { 2500 } else { 120 };
    /// Ticks after which a player is given up that does not answer.
    const PATIENCE: u64 = 5;
    /// Players at a time.
    const MOST: usize = 8;
    const PLACE: u64 = 0x2000_0000_0000;

    /// Numbers that look random.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }
    }

    pub(crate) fn a_wrong_server_is_lived_with() -> Outcome {
        let first = seed()?;
        be_patient_for(PATIENCE);
        let mut players = [const { None }; MOST];
        let mut random = Random(1);
        for _ in 0..ROUNDS {
            for _ in 0..MOST {
                let (who, other) = (random.below(MOST as u64) as usize, random.below(MOST as u64) as usize);
                let source = players[other].as_ref().map(|player: &Player| player.endpoint);
                players[who] = match players[who].take() {
                    Some(player) => plays(player, source, &mut random),
                    None => players[other].as_ref().unwrap_or(&first).fork().ok(),
                };
            }
            // Nobody is left who could do anything.
            if server().memory(GetMemory {}).err() == Some(Errno::DeadSrcDst) {
                sys::log!("the memory server has ended");
                break;
            }
        }
        Ok(())
    }

    /// A player does something; if it is fit for more, it is returned.
    fn plays(mut player: Player, source: Option<Endpoint>, random: &mut Random) -> Option<Player> {
        let page = PLACE + random.below(12) * PAGE_SIZE;
        let goes_on = match random.below(12) {
            0 | 1 => player.ask(&new_memory(PLACE, 12, MapFlags::FIXED)).is_ok(),
            2 => player.ask(&new_memory(page, 2, MapFlags::FIXED | MapFlags::SHARED)).is_ok(),
            3 => player.unmap(page, 1).is_ok(),
            4 => player.protect(page, 2, Access::Read).is_ok(),
            5 => {
                let (process, access) = (player.endpoint, Access::Write);
                let source = source.unwrap_or(process);
                let len = 2 * PAGE_SIZE;
                let _ = server().remap(Remap {
                    source,
                    process,
                    source_address: page,
                    address: 0,
                    len,
                    access,
                    reserved: 0,
                });
                let _ = server().region(GetRegion { process, reserved: 0, address: 0 });
                true
            }
            6..=9 => matches!(player.order(Do::Fill, &[page, 4, 1]), Ok(Done::Well(_))),
            10 => matches!(player.order(Do::Sum, &[page, 4]), Ok(Done::Well(_))),
            _ => false,
        };
        if goes_on {
            return Some(player);
        }
        let endpoint = player.endpoint;
        if player.end().is_err() {
            let _ = sys::kernel().clear(protocol::kernel::Clear { process: endpoint });
        }
        None
    }
}
