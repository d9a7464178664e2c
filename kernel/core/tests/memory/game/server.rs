//! What the memory server does.

use super::*;

impl Game<'_, '_> {
    /// A new space, with most of the pages that it can have.
    pub(super) fn space(&mut self) -> SpaceName {
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

    pub(super) fn set_page(&mut self, space: SpaceName, address: u64, page: Page) {
        self.model.spaces.get_mut(&space).expect("it is one").insert(address, page);
    }

    /// Makes a page available, if it can be.
    pub(super) fn provide(&mut self, space: SpaceName, page: u64, write: bool) -> bool {
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
    pub(super) fn change(
        &mut self,
        space: SpaceName,
        page: u64,
        change: impl Fn(&mut Self) -> Result<(), Errno>,
    ) -> bool {
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

    pub(super) fn part(&mut self, space: SpaceName, address: u64, count: u32) {
        self.server.part(&mut self.system, space, address, count);
        let ended = self.model.end(|m| m.meets(space, address, u64::from(count) * PAGE_SIZE));
        self.count("part", if ended > 0 { "mapped" } else { "nothing mapped" });
        self.touched.extend(self.model.spaces.keys());
    }

    pub(super) fn page_of(&mut self, player: usize) -> (SpaceName, u64) {
        let space = self.me(player).space;
        let space = if self.orphans.is_empty() || !self.once_in(8) { space } else { self.orphans[0] };
        (space, ARENA.start + self.random.below((ARENA.end - ARENA.start) / PAGE_SIZE) * PAGE_SIZE)
    }

    pub(super) fn server_takes(&mut self, player: usize) {
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

    pub(super) fn server_protects(&mut self, player: usize) {
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

    pub(super) fn server_parts(&mut self, player: usize) {
        let (space, page) = self.page_of(player);
        let count = 1 + self.random.below(8).min((ARENA.end - page) / PAGE_SIZE - 1) as u32;
        self.what = format!("the server parts {count} pages from {page:#x} of {space:#x} on");
        self.part(space, page, count);
    }

    /// The memory server hears of all that wait.
    pub(super) fn tell(&mut self) {
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
    pub(super) fn serve(&mut self, player: usize) {
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
