//! One step after another: somebody does something, the model says what it must come to, and both are compared.

use crate::audit;
use crate::draw::Draw;
use crate::model::{self, Call, Model, Need, Page, Plan, Process, SpaceName, Table, Verdict};
use crate::server::{ARENA, Server, fill, region};
use crate::system::{FOR_OTHERS, LENDINGS, Outcome, PARENT, PLAYERS, ROOT, System, Tables, USER, VM, slot};
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

/// Kernel calls.
impl Game<'_, '_> {
    fn make_call(&mut self, player: usize) {
        let me = self.me(player).clone();
        let renamed = me.table.owner != me.endpoint && self.once_in(4);
        let call = if me.service && (me.table.count == 0 || renamed) {
            self.draw(player, |draw| draw.table())
        } else {
            self.draw(player, |draw| draw.call())
        };
        self.what = format!("{:?} calls {call:x?}", me.endpoint);
        let outcome = self.system.start(PLAYERS.start + player, &call.message());
        self.compare(player, call, outcome);
    }

    /// Compares what a call came to with what it must; if it goes on in steps, to the last.
    fn compare(&mut self, player: usize, call: Call, outcome: Outcome) {
        /// Steps in which a call is over.
        const PATIENCE: usize = 64;
        let me = self.me(player).clone();
        let verdict = self.model.judge(&me, &call);
        let mut outcome = outcome;
        for _ in 0..PATIENCE {
            let again = match (&verdict, outcome) {
                (Verdict::Does(Plan::Map(..)), Outcome::Done(Ok([0, _]))) => true,
                (Verdict::Waits(_), Outcome::Done(Ok([0, _]))) => matches!(call, Call::Map(_)),
                (Verdict::Fails(..), Outcome::Done(Ok([0, _]))) => matches!(call, Call::Map(_)),
                (
                    Verdict::Does(Plan::Unmap { .. } | Plan::Revoke(..) | Plan::RevokeAt { .. }),
                    Outcome::Done(Ok([1, _])),
                ) => true,
                _ => false,
            };
            if !again {
                break;
            }
            self.count("steps", call.name());
            outcome = self.system.start(PLAYERS.start + player, &call.message());
        }
        match (verdict, outcome) {
            (Verdict::Fails(errors, mark), Outcome::Done(Err(errno))) if errors.contains(&errno) => {
                self.count(call.name(), format!("{errno:?}"));
                if let Some(mark) = mark {
                    let noted = self.model.note(mark);
                    self.count("marks", if noted { "noted" } else { "lost" });
                    self.touched.push(mark.space);
                }
            }
            (Verdict::Waits(need), Outcome::Waits) => {
                self.count(call.name(), "waits");
                self.waiting[player] = Some(Waiting { call, need, told: false, recalled: false });
                if self.once_in(2) {
                    self.tell();
                }
            }
            (Verdict::Does(plan), Outcome::Done(Ok(reply))) => {
                self.count(call.name(), "Ok");
                self.note_features(&plan, reply[0]);
                self.touched.extend(plan.spaces(&me));
                self.model.perform(player, plan, reply).unwrap_or_else(|wrong| panic!("{wrong}"));
            }
            (verdict, outcome) => {
                let event = self.system.by(VM, &NextEvent {}).map(|event| event.words);
                panic!("it came to {outcome:x?} (for {event:x?}), and not {verdict:x?}");
            }
        }
    }

    /// Counts what a call shows of what it did.
    fn note_features(&mut self, plan: &Plan, done: u64) {
        match plan {
            Plan::Copy(transfer) => {
                if let Some((a, b)) = transfer.first_pages(done)
                    && a.0 != b.0
                    && audit::share(&self.system, a, b)
                {
                    self.count("copies", "shared");
                }
            }
            Plan::Map(mapping, write) => {
                self.count("maps", if *write { "to write" } else { "to read" });
                self.count("chains", format!("{}", mapping.links.len()));
                if self
                    .model
                    .process_named(mapping.links[mapping.links.len() - 1].0)
                    .is_some_and(|p| p.space != mapping.owner)
                {
                    self.count("maps", "of others");
                }
            }
            Plan::Revoke(..) | Plan::RevokeAt { .. } => {
                let ended = self.model.ended_by(plan);
                if ended > 0 {
                    self.count("revokes", "something");
                }
            }
            _ => {}
        }
    }
}

/// The memory server.
impl Game<'_, '_> {
    /// A new space, with most of the pages that it can have.
    fn space(&mut self) -> SpaceName {
        let space = self.server.create(&mut self.system);
        self.model.spaces.insert(space, BTreeMap::new());
        for page in ARENA.step_by(PAGE_SIZE as usize) {
            if self.once_in(64) {
                continue;
            }
            let access = region(page).expect("it is in the arena");
            self.server.bring(&mut self.system, space, page, access);
            let mut bytes = [0; PAGE_SIZE as usize];
            if page != ARENA.start {
                for word in bytes.chunks_exact_mut(8) {
                    word.copy_from_slice(self.random.word().as_bytes());
                }
            }
            let spaces = &self.system.kernel.spaces;
            let root = spaces.root(spaces.find(space).expect("it is one")).expect("it lives");
            fill(&mut self.system.machine, root, page, &bytes);
            self.set_page(space, page, Page { cell: model::cell(bytes), write: access == Access::Write });
        }
        space
    }

    fn set_page(&mut self, space: SpaceName, address: u64, page: Page) {
        self.model.spaces.get_mut(&space).expect("it is one").insert(address, page);
    }

    /// Makes a page available, if it can be.
    fn provide(&mut self, space: SpaceName, page: u64, write: bool) -> bool {
        let Some(access) = region(page).filter(|access| !write || *access == Access::Write) else {
            return false;
        };
        // The memory server has none itself.
        if !self.model.spaces.contains_key(&space) {
            return false;
        }
        match self.model.page(space, page) {
            Some(found) if found.write || !write => {}
            // It is somebody else's.
            Some(_) if self.model.mappings.iter().any(|m| m.borrows(space, page, PAGE_SIZE)) => {}
            Some(_) => {
                self.change(space, page, |game| game.server.protect(&mut game.system, space, page, Access::Write));
                self.model.page_mut(space, page).expect("it is there").write = true;
            }
            None => {
                let kept = self.server.bring(&mut self.system, space, page, access);
                let stored = self.stored.remove(&(space, page));
                assert_eq!(kept, stored.is_some());
                let cell = stored.unwrap_or_else(|| model::cell([0; PAGE_SIZE as usize]));
                self.set_page(space, page, Page { cell, write: access == Access::Write });
            }
        }
        self.touched.push(space);
        true
    }

    /// Changes a page, which must be private for that. Returns whether it was refused at first.
    fn change(&mut self, space: SpaceName, page: u64, change: impl Fn(&mut Self) -> Result<(), Errno>) -> bool {
        let shared = self.model.mappings.iter().any(|m| m.meets(space, page, PAGE_SIZE));
        match change(self) {
            Ok(()) => {
                assert!(!shared, "a page that two see is not to be changed");
                false
            }
            Err(Errno::Busy) => {
                self.part(space, page, 1);
                assert_eq!(change(self), Ok(()), "it is private now");
                true
            }
            Err(errno) => panic!("{errno:?}"),
        }
    }

    fn part(&mut self, space: SpaceName, address: u64, count: u32) {
        self.server.part(&mut self.system, space, address, count);
        let ended = self.model.end(|m| m.meets(space, address, u64::from(count) * PAGE_SIZE));
        self.count("part", if ended > 0 { "mapped" } else { "nothing mapped" });
        self.touched.extend(self.model.spaces.keys());
    }

    fn page_of(&mut self, player: usize) -> (SpaceName, u64) {
        let space = self.me(player).space;
        let space = if self.orphans.is_empty() || !self.once_in(8) { space } else { self.orphans[0] };
        (space, ARENA.start + self.random.below((ARENA.end - ARENA.start) / PAGE_SIZE) * PAGE_SIZE)
    }

    fn server_takes(&mut self, player: usize) {
        let (space, page) = self.page_of(player);
        if self.model.page(space, page).is_none() {
            return;
        }
        self.what = format!("the server takes {page:#x} of {space:#x}");
        let keep = self.once_in(2);
        let busy = self.change(space, page, |game| game.server.take(&mut game.system, space, page, keep));
        let taken = self.model.spaces.get_mut(&space).and_then(|pages| pages.remove(&page)).expect("it was there");
        if keep {
            self.stored.insert((space, page), taken.cell);
        }
        self.count("unmap", if busy { "Busy" } else { "Ok" });
        self.touched.push(space);
    }

    fn server_protects(&mut self, player: usize) {
        let (space, page) = if self.once_in(8) {
            let me = self.me(player);
            (me.space, me.table.address - me.table.address % PAGE_SIZE)
        } else {
            self.page_of(player)
        };
        if self.model.page(space, page).is_none() || region(page) != Some(Access::Write) {
            return;
        }
        self.what = format!("the server protects {page:#x} of {space:#x}");
        let access = if self.once_in(3) { Access::Read } else { Access::Write };
        let busy = self.change(space, page, |game| game.server.protect(&mut game.system, space, page, access));
        self.model.page_mut(space, page).expect("it is there").write = access == Access::Write;
        self.count("protect", if busy { "Busy" } else { "Ok" });
        self.touched.push(space);
    }

    fn server_parts(&mut self, player: usize) {
        let (space, page) = self.page_of(player);
        let count = 1 + self.random.below(8).min((ARENA.end - page) / PAGE_SIZE - 1) as u32;
        self.what = format!("the server parts {count} pages from {page:#x} of {space:#x} on");
        self.part(space, page, count);
    }

    /// The memory server hears of all that wait.
    fn tell(&mut self) {
        loop {
            let words = match self.system.by(VM, &NextEvent {}) {
                Ok(event) => event.words,
                Err(errno) => return assert_eq!(errno, Errno::NoEnt),
            };
            let len = words[2] & ((1 << ACCESS_SHIFT) - 1);
            let requestor = Endpoint::from_raw(words[0] as u32);
            let process = Endpoint::from_raw((words[0] >> 32) as u32);
            let need = Need { process, address: words[1], len, write: words[2] >> ACCESS_SHIFT == 1 };
            let player = self.model.processes.iter().position(|process| process.endpoint == requestor);
            let waiting = player.and_then(|player| self.waiting[player].as_mut());
            if let Some(waiting) = waiting.filter(|_| len > 0) {
                assert_eq!((need, waiting.told), (waiting.need, false), "what {requestor:?} waits for");
                waiting.told = true;
            }
        }
    }

    /// The memory server answers somebody who waits.
    fn serve(&mut self, player: usize) {
        if self.waiting[player].is_none() {
            return;
        }
        self.tell();
        let Waiting { call, need, told, recalled } = self.waiting[player].take().expect("it waits");
        let me = self.me(player).endpoint;
        self.what = format!("{me:?} is answered that has called {call:x?}, recalled: {recalled}");
        assert!(told, "the server has heard of everybody");
        let mut available = !self.once_in(6);
        if available && !recalled {
            let space = self.model.process_named(need.process).expect("it lives").space;
            let end = need.address + need.len;
            let inside =
                model::pages_of(need.address, need.len.min(ARENA.end)).take_while(|page| *page < ARENA.end.min(end));
            for page in inside.collect::<Vec<_>>() {
                available &= self.provide(space, page, need.write);
            }
            available &= end <= ARENA.end;
        }
        self.system.by(VM, &AnswerRequest { process: me, available: available.into() }).expect("it waits");
        self.count(
            "answer",
            if recalled {
                "recalled"
            } else if available {
                "yes"
            } else {
                "no"
            },
        );
        let outcome = self.system.outcome(PLAYERS.start + player);
        if available || recalled {
            return self.compare(player, call, outcome);
        }
        assert_eq!(outcome, Outcome::Done(Err(Errno::Fault)), "the memory cannot be had");
        self.touched.extend(self.model.spaces.keys());
    }
}

/// What programs do themselves.
impl Game<'_, '_> {
    fn store(&mut self, player: usize) {
        let (_, page) = self.page_of(player);
        let at = page + self.random.below(PAGE_SIZE);
        let len = 1 + self.random.below(16).min(page + PAGE_SIZE - at - 1) as usize;
        let word = [self.random.word(), self.random.word()];
        let bytes = word.as_bytes()[..len].to_vec();
        self.write(player, at, &bytes);
    }

    /// Changes an entry of the table of grants: makes one, or ends one.
    fn grant(&mut self, player: usize) {
        let me = self.me(player).clone();
        let index = self.draw(player, |draw| draw.index());
        let at = me.table.address + index * 64;
        if index >= me.table.count || region(at - at % PAGE_SIZE).is_none() {
            return;
        }
        if self.once_in(8) {
            return self.write(player, at, &[0; 4]);
        }
        let before = self.model.entry_at(&me, index).map_or(0, |entry| entry.sequence);
        let before = if before > 1 << 40 { 0 } else { before };
        let entry = self.draw(player, |draw| draw.entry(index, before));
        self.write(player, at, entry.as_bytes());
    }

    /// A grant is handed on and on, to whoever has a table; the last of them uses it, and those before it.
    fn chain(&mut self, first: usize) {
        /// One more than there may be.
        const LINKS: usize = 7;
        let (mut granter, mut given) = (first, None);
        for _ in 0..LINKS {
            let index = self.draw(granter, |draw| draw.index());
            let me = self.me(granter).clone();
            let at = me.table.address + index * 64;
            let has_table = index < me.table.count && me.table.owner == me.endpoint && self.waiting[granter].is_none();
            if !has_table || !self.model.has(me.space, at, 64, true) {
                continue;
            }
            let next = self.random.below(PLAYERS.len() as u64) as usize;
            let grantee = self.me(next).endpoint;
            let before = self.model.entry_at(&me, index).map_or(0, |entry| entry.sequence);
            let entry = self.draw(granter, |draw| draw.link(given, grantee, before));
            self.write(granter, at, entry.as_bytes());
            given = GrantId::new(index, entry.sequence).map(|id| (me.endpoint, id));
            granter = next;
            if self.waiting[next].is_none() {
                self.make_call(next);
            }
        }
    }

    fn write_list(&mut self, player: usize) {
        let (at, list) = self.draw(player, |draw| (draw.list_address(), draw.list()));
        let here = (PAGE_SIZE - at % PAGE_SIZE) as usize;
        self.write(player, at, &list[..here]);
        self.write(player, at + here as u64, &list[here..]);
    }

    /// A program writes, within one page, as a processor does it.
    fn write(&mut self, player: usize, at: u64, bytes: &[u8]) {
        let Process { endpoint, space, .. } = *self.me(player);
        self.what = format!("{endpoint:?} writes {} bytes at {at:#x}", bytes.len());
        if self.touch(player, at, MemoryAccess::Write, |machine, root| machine.write(root, at, bytes).is_ok()) {
            self.model.write(space, at, bytes);
            self.count("store", "Ok");
        }
        self.touched.push(space);
    }

    fn load(&mut self, player: usize) {
        let (_, page) = self.page_of(player);
        let space = self.me(player).space;
        self.what = format!("{:?} reads {page:#x}", self.me(player).endpoint);
        let mut bytes = [0; PAGE_SIZE as usize];
        if self.touch(player, page, MemoryAccess::Read, |machine, root| machine.read(root, page, &mut bytes).is_ok()) {
            assert_eq!(self.model.read(space, page, PAGE_SIZE).expect("it is there"), bytes);
            self.count("load", "Ok");
        }
    }

    /// A program touches a page, with page faults; whether that is possible.
    fn touch(
        &mut self,
        player: usize,
        at: u64,
        access: MemoryAccess,
        mut touch: impl FnMut(&mut crate::machine::Computer, kernel_core::frames::FrameNumber) -> bool,
    ) -> bool {
        let Process { endpoint, space, .. } = *self.me(player);
        let (page, write) = (at - at % PAGE_SIZE, access == MemoryAccess::Write);
        let may = self.model.has(space, page, PAGE_SIZE, write);
        let borrowed = self.model.mappings.iter().any(|m| m.borrows(space, page, PAGE_SIZE));
        let number = PLAYERS.start + player;
        let root = self.system.kernel.process(slot(number)).space.expect("it lives somewhere").root();
        if touch(&mut self.system.machine, root) {
            assert!(may, "it must not");
            return true;
        }
        let cpu = CpuId::new(number).expect("each has one");
        self.system.machine.cpu = cpu;
        let kernel = &mut self.system.kernel;
        assert_eq!(kernel.schedule(&mut self.system.machine, cpu), Some(slot(number)));
        let _ = kernel.memory_fault(&mut self.system.machine, cpu, at, access, format_args!("a test"));
        let name = if write { "store" } else { "load" };
        let rts = self.system.rts(number);
        if may {
            assert_eq!(rts, Rts::empty(), "it may write");
            assert!(touch(&mut self.system.machine, root), "it may write, after a fault");
            self.count(name, "after a fault");
            return true;
        }
        if borrowed {
            assert_eq!(self.system.take_signal(endpoint), Signal::SEGV.bit());
            self.count(name, "denied");
            return false;
        }
        assert_eq!(rts, Rts::PAGE_FAULT);
        self.tell();
        let provided = self.provide(space, page, write);
        self.system.by(VM, &ClearPageFault { process: endpoint }).expect("it waits");
        assert_eq!(touch(&mut self.system.machine, root), provided, "the server has said so");
        self.count(name, if provided { "brought" } else { "refused" });
        provided
    }
}

/// Ends and beginnings.
impl Game<'_, '_> {
    /// A process is somebody else, or nobody: calls that wait for its memory start again.
    fn recall(&mut self, before: &[Endpoint]) {
        for player in 0..PLAYERS.len() {
            let Some(waiting) = self.waiting[player].as_mut().filter(|w| before.contains(&w.need.process)) else {
                continue;
            };
            if waiting.told {
                waiting.recalled = true;
                self.count("recall", "told");
                continue;
            }
            let call = self.waiting[player].take().expect("it waits").call;
            let outcome = self.system.outcome(PLAYERS.start + player);
            self.compare(player, call, outcome);
            self.count("recall", "not told");
        }
    }

    fn die(&mut self, player: usize) {
        let Process { endpoint, space, .. } = *self.me(player);
        self.what = format!("{endpoint:?} dies");
        self.waiting[player] = None;
        self.system.end(endpoint);
        let ended = self.model.end_grants_of(endpoint);
        self.count("death", if ended > 0 { "of a granter" } else { "of another" });
        let borrows = self.model.mappings.iter().any(|m| m.borrower == space);
        if borrows {
            self.count("death", "of a borrower");
        }
        self.orphans.push(space);
        let number = PLAYERS.start + player;
        // It is nobody until there is a new one.
        self.model.processes[player].endpoint = Endpoint::NONE;
        self.recall(&[endpoint]);
        if self.once_in(2) {
            self.destroy_orphan();
        }
        let space = self.space();
        let endpoint = self.system.make(number, space);
        self.model.processes[player] = process(number, endpoint, space);
        self.touched.extend(self.model.spaces.keys());
    }

    fn exec(&mut self, player: usize) {
        let Process { endpoint, space, service, for_others, .. } = self.me(player).clone();
        self.what = format!("{endpoint:?} executes another program");
        let new = if self.once_in(2) { Some(self.space()) } else { None };
        self.system.renew(endpoint, new);
        let waited = self.waiting[player].take().is_some();
        if waited {
            assert_eq!(self.system.rts(PLAYERS.start + player), Rts::MEMORY_REQUEST);
            self.tell();
            self.system.by(VM, &AnswerRequest { process: endpoint, available: 0 }).expect("it waits");
        }
        assert_eq!(self.system.rts(PLAYERS.start + player), Rts::empty());
        let ended = self.model.end_grants_of(endpoint);
        self.count("exec", if ended > 0 { "of a granter" } else { "of another" });
        let table = Table { address: 0, count: 0, owner: endpoint };
        let new_space = new.unwrap_or(space);
        self.model.processes[player] = Process { endpoint, space: new_space, service, for_others, table };
        self.orphans.extend(new.map(|_| space));
        self.touched.extend(self.model.spaces.keys());
    }

    /// Two services go on under each other's names.
    fn swap(&mut self, player: usize) {
        let other = self.random.below(PLAYERS.len() as u64) as usize;
        let both = [player, other];
        let fits = |player: &usize| self.waiting[*player].is_none() && self.me(*player).service;
        if player == other || !both.iter().all(fits) {
            return;
        }
        let [source, destination] = both.map(|player| self.me(player).endpoint);
        self.what = format!("{source:?} and {destination:?} are swapped");
        for process in [source, destination] {
            self.system.root_does(&Disallow { process });
            self.system.leave(process);
        }
        self.system.root_does(&Update { source, destination, direction: UpdateDirection::Forward });
        for process in [source, destination] {
            self.system.root_does(&Allow { process });
        }
        let processes = &mut self.model.processes;
        processes.swap(player, other);
        (processes[player].endpoint, processes[other].endpoint) = (source, destination);
        for link in self.model.mappings.iter_mut().flat_map(|mapping| &mut mapping.links) {
            link.0 = match link.0 {
                granter if granter == source => destination,
                granter if granter == destination => source,
                granter => granter,
            };
        }
        self.count("swap", "Ok");
        self.recall(&[source, destination]);
        self.touched.extend(self.model.spaces.keys());
    }

    fn destroy_orphan(&mut self) {
        if self.orphans.is_empty() {
            return;
        }
        let space = self.orphans.remove(0);
        self.what.push_str(" the space of somebody is destroyed");
        let shared = self.model.mappings.iter().any(|m| m.owner == space || m.borrower == space);
        self.count("destroy", if shared { "mapped" } else { "nothing mapped" });
        self.server.destroy(&mut self.system, space);
        self.model.destroy(space);
        self.stored.retain(|(of, _), _| *of != space);
        self.touched.extend(self.model.spaces.keys());
    }

    /// Everybody ends; all frames come back.
    pub(crate) fn end(mut self) -> u64 {
        audit::compare(&self.system, &self.model);
        for player in 0..PLAYERS.len() {
            let Process { endpoint, space, .. } = *self.me(player);
            self.waiting[player] = None;
            self.system.end(endpoint);
            self.model.end_grants_of(endpoint);
            self.orphans.push(space);
        }
        while !self.orphans.is_empty() {
            self.destroy_orphan();
            self.check(true);
        }
        let aside = audit::count(&self.system, FrameKind::Aside);
        assert_eq!(aside, 0, "no frame is aside");
        let own_spaces = PLAYERS.len();
        // At first each of the players had a space of the kernel's own, which was one table.
        assert_eq!(self.system.kernel.spaces.frames().free_count(), self.free_at_first + own_spaces);
        self.system.restarts
    }
}
