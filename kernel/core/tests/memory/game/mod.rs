//! One step after another: somebody does something, the model says what it must come to, and both are compared.

mod calls;
mod ends;
mod programs;
mod server;

use crate::audit;
use crate::draw::Draw;
use crate::model::{self, Call, Model, Need, Page, Plan, Process, SpaceName, Table, Verdict};
use crate::server::{ARENA, Server, fill, region};
use crate::system::{FOR_OTHERS, LENDINGS, Outcome, PARENT, PLAYERS, ROOT, System, USER, VM, slot};
use crate::tables::Tables;
use abi::event::ACCESS_SHIFT;
use abi::grant::GrantId;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Signal};
use kernel_core::frames::FrameKind;
use kernel_core::tables::Access;
use kernel_core::{CpuId, Machine, MemoryAccess, Rts};
use protocol::kernel::{Update, UpdateDirection};
use protocol::privctl::{Allow, Disallow};
use protocol::vmctl::{AnswerRequest, ClearPageFault, NextEvent};
use std::collections::BTreeMap;
use storm::Random;
use zerocopy::IntoBytes;

/// How often each thing came to what.
pub(crate) type Histogram = BTreeMap<(&'static str, String), u64>;

/// A call that waits for the memory server.
struct Waiting {
    call: Call,
    need: Need,
    /// The memory server knows.
    told: bool,
    /// Whose memory it is has ended since then, or is somebody else: the call starts again after the answer.
    recalled: bool,
}

pub(crate) struct Game<'t, 'h> {
    system: System<'t>,
    server: Server,
    model: Model,
    random: Random,
    waiting: [Option<Waiting>; PLAYERS.end - PLAYERS.start],
    /// Spaces in which nobody lives any more.
    orphans: Vec<SpaceName>,
    /// What stands in pages that the memory server has taken away.
    stored: BTreeMap<(SpaceName, u64), model::Cell>,
    histogram: &'h mut Histogram,
    /// Spaces that this step has to do with.
    touched: Vec<SpaceName>,
    free_at_first: usize,
    what: String,
}

/// Steps between two comparisons of everything.
const AUDIT: u64 = 64;

impl<'t, 'h> Game<'t, 'h> {
    pub(crate) fn new(tables: &'t mut Tables, seed: u64, histogram: &'h mut Histogram) -> Self {
        let system = System::new(tables);
        let mut game = Self {
            free_at_first: system.kernel.spaces.frames().free_count(),
            system,
            server: Server::default(),
            model: Model { room: (LENDINGS, LENDINGS / 2), ..Model::default() },
            random: Random::new(seed),
            waiting: Default::default(),
            orphans: Vec::new(),
            stored: BTreeMap::new(),
            histogram,
            touched: Vec::new(),
            what: String::new(),
        };
        for number in PLAYERS {
            let space = game.space();
            let old = game.system.kernel.process(slot(number)).endpoint;
            game.system.end(old);
            let endpoint = game.system.make(number, space);
            game.model.processes.push(process(number, endpoint, space));
        }
        // The others have neither memory nor grants.
        for number in [ROOT, PARENT, VM] {
            let endpoint = game.system.kernel.process(slot(number)).endpoint;
            game.model.processes.push(process(number, endpoint, 0));
        }
        game
    }

    fn count(&mut self, name: &'static str, result: impl Into<String>) {
        *self.histogram.entry((name, result.into())).or_default() += 1;
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.random.below(times) == 0
    }

    /// Makes so many steps.
    pub(crate) fn play(&mut self, steps: u64) {
        for number in 0..steps {
            self.touched.clear();
            self.what.clear();
            let random = self.random.word();
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                self.step(random);
                self.check(number.is_multiple_of(AUDIT));
            }));
            if let Err(panic) = done {
                eprintln!("in step {number}: {}", self.what);
                std::panic::resume_unwind(panic);
            }
        }
    }

    fn check(&mut self, all: bool) {
        assert_eq!(self.system.kernel.check_invariants(), Ok(()));
        for space in std::mem::take(&mut self.touched) {
            if self.model.spaces.contains_key(&space) {
                audit::compare_space(&self.system, &self.model, space);
            }
        }
        if all {
            audit::compare(&self.system, &self.model);
        }
    }

    fn step(&mut self, random: u64) {
        let first = (random >> 32) as usize % PLAYERS.len();
        // Who waits is passed over by and by.
        let others = (first..first + PLAYERS.len()).map(|player| player % PLAYERS.len());
        let free = others.into_iter().find(|player| self.waiting[*player].is_none());
        let player = free.filter(|_| (random >> 16) & 3 != 0).unwrap_or(first);
        match random % 600 {
            0 => self.die(player),
            1 => self.exec(player),
            2 => self.swap(player),
            3 | 4 => self.destroy_orphan(),
            5..16 => self.server_takes(player),
            16..24 => self.server_protects(player),
            24..26 => self.server_parts(player),
            26 | 27 => self.tell(),
            28..34 => self.chain(player),
            _ if self.waiting[player].is_some() && self.once_in(3) => self.serve(player),
            _ if self.waiting[player].is_some() => {}
            34..100 => self.store(player),
            100..120 => self.load(player),
            120..180 => self.grant(player),
            180..200 => self.write_list(player),
            _ => self.make_call(player),
        }
    }

    fn draw<R>(&mut self, player: usize, draw: impl FnOnce(&mut Draw<'_>) -> R) -> R {
        let me = &self.model.processes[player];
        draw(&mut Draw { random: &mut self.random, model: &self.model, me })
    }

    fn me(&self, player: usize) -> &Process {
        &self.model.processes[player]
    }
}

fn process(number: usize, endpoint: Endpoint, space: SpaceName) -> Process {
    let table = Table { address: 0, count: 0, owner: endpoint };
    Process { endpoint, space, service: number != USER, for_others: number == FOR_OTHERS, table }
}
