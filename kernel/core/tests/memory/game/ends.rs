//! Ends and beginnings.

use super::*;

impl Game<'_, '_> {
    /// A process is somebody else, or nobody: calls that wait for its memory start again.
    pub(super) fn recall(&mut self, before: &[Endpoint]) {
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

    pub(super) fn die(&mut self, player: usize) {
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

    pub(super) fn exec(&mut self, player: usize) {
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
    pub(super) fn swap(&mut self, player: usize) {
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

    pub(super) fn destroy_orphan(&mut self) {
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
