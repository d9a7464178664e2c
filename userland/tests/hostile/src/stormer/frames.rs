//! What the memory server must not be able to do with any frame of the machine.

use abi::Errno;
use abi::layout::PAGE_SIZE;
use core::fmt;
use protocol::vmctl::{
    Access, Backing, Cache, Claim, CreateSpace, Donate, FrameKind, GetFrameInfo, GiveBack, MapRun, Release,
};

/// What was done with a frame that must not be.
pub(crate) struct Wrong {
    frame: u64,
    kind: FrameKind,
    how: &'static str,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {:#x}, {:?}: {}", self.frame, self.kind, self.how)
    }
}

/// Where it tries to map.
const PAGE: u64 = 0x1234_5000;

/// Tries everything with every frame that is no program's and not idle.
pub(crate) fn try_all() -> Result<(), Wrong> {
    let wrong = |how| Wrong { frame: 0, kind: FrameKind::Idle, how };
    let mut vmctl = sys::vmctl();
    // A space with all the page tables that a page needs.
    let claim = vmctl.claim(Claim { count: 8 }).map_err(|_| wrong("cannot be claimed"))?;
    let root = claim.first;
    let space = vmctl.create(CreateSpace { root }).map_err(|_| wrong("makes no space"))?.space;
    let donated = vmctl.donate(Donate { space, first: root + PAGE_SIZE, count: claim.count - 1 });
    donated.map_err(|_| wrong("cannot be donated"))?;
    let mut seen = [0u64; 6];
    for frame in (0..).step_by(PAGE_SIZE as usize) {
        let kind = match vmctl.frame_info(GetFrameInfo { frame }) {
            Ok(info) => info.kind,
            Err(_) => break, // Beyond the last one.
        };
        seen[kind as usize] += 1;
        if [FrameKind::Idle, FrameKind::User].contains(&kind) {
            continue;
        }
        let (access, cache) = (Access::Write, Cache::Normal);
        let run = |backing| MapRun { space, address: PAGE, frame, count: 1, access, cache, backing };
        let tries = [
            ("mapped as memory", vmctl.map(run(Backing::Memory)).map(drop)),
            ("mapped as a device", vmctl.map(run(Backing::Device)).map(drop)),
            ("made a root table", vmctl.create(CreateSpace { root: frame }).map(drop)),
            ("donated", vmctl.donate(Donate { space, first: frame, count: 1 }).map(drop)),
            ("released", vmctl.release(Release { first: frame, count: 1 }).map(drop)),
            ("given back", vmctl.give_back(GiveBack { first: frame, count: 1 }).map(drop)),
        ];
        if let Some((how, _)) = tries.iter().find(|(_, result)| *result != Err(Errno::Perm)) {
            return Err(Wrong { frame, kind, how });
        }
    }
    sys::log!("frames refused: {} kernel's, {} page tables, {} reserved, {} free", seen[3], seen[4], seen[0], seen[1]);
    Ok(())
}
