//! Many processes that fork, end, wait, signal and begin sessions, against a model that knows the rules and nothing else.

use super::fake::boot;
use super::*;
use crate::signals::{KILL, SEGV};
use std::collections::BTreeMap;
use std::vec::Vec;

/// Most processes of the game.
const MOST: usize = 40;

/// A process of the model.
#[derive(Clone, Debug)]
struct Player {
    endpoint: Endpoint,
    parent: u32,
    group: u32,
    session: u32,
    /// Its status, when it has ended.
    ended: Option<u32>,
    /// What it waits for.
    waits: Option<i32>,
}

struct Game<'b, 'w> {
    bench: &'b mut Bench<'w>,
    players: BTreeMap<u32, Player>,
    seed: u64,
    /// Statuses that parents have been told.
    reaped: u64,
}

impl Game<'_, '_> {
    /// A number below another one (Marsaglia's xorshift).
    fn below(&mut self, end: usize) -> usize {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed % end as u64) as usize
    }

    fn is_child(&self, me: u32, wait: i32, pid: u32) -> bool {
        let player = &self.players[&pid];
        player.parent == me
            && match wait {
                -1 => true,
                0 => player.group == self.players[&me].group,
                1.. => pid == wait as u32,
                _ => player.group == wait.unsigned_abs(),
            }
    }

    fn children(&self, me: u32, wait: i32) -> Vec<u32> {
        self.players.keys().copied().filter(|pid| *pid != 1 && self.is_child(me, wait, *pid)).collect()
    }

    /// The one among some that has a status to tell and comes first: the order is that of the slots.
    fn first_ended(&self, pids: &[u32]) -> Option<(u32, u32)> {
        let ended =
            pids.iter().filter_map(|pid| Some((self.players[pid].endpoint.slot(), *pid, self.players[pid].ended?)));
        ended.min().map(|(_, pid, status)| (pid, status))
    }

    fn fork(&mut self, me: u32) {
        if self.players.len() == MOST {
            return;
        }
        let (endpoint, pid) = self.bench.fork(self.players[&me].endpoint);
        let Player { group, session, .. } = self.players[&me];
        let child = Player { endpoint, parent: me, group, session, ended: None, waits: None };
        assert!(self.players.insert(pid, child).is_none());
    }

    fn wait(&mut self, me: u32) {
        let pids: Vec<_> = self.players.keys().copied().collect();
        let other = pids[self.below(pids.len())] as i32;
        let wait = [-1, -1, 0, other, -other][self.below(5)];
        let hangs = self.below(2) == 0;
        let options = if hangs { WaitOptions::empty() } else { WaitOptions::NO_HANG };
        let told = self.bench.wait(self.players[&me].endpoint, wait, options);
        // Group 1 is written as -1, which is anybody.
        let children = self.children(me, wait);
        let expected = match self.first_ended(&children) {
            Some(status) => Some(Ok(status)),
            None if children.is_empty() => Some(Err(Errno::Child)),
            None if !hangs => Some(Ok((0, 0))),
            None => None,
        };
        assert_eq!(told, expected, "{me} waits for {wait}");
        match told {
            Some(Ok((pid, _))) if pid != 0 => self.reap(pid),
            None => self.players.get_mut(&me).unwrap().waits = Some(wait),
            _ => {}
        }
    }

    fn reap(&mut self, pid: u32) {
        self.players.remove(&pid);
        self.reaped += 1;
    }

    /// Somebody has ended, and whoever leads a session takes its group along.
    fn has_ended(&mut self, pid: u32, status: u32) {
        let player = self.players.get_mut(&pid).unwrap();
        (player.ended, player.waits) = (Some(status), None);
        let (leads, group) = (player.session == pid, player.group);
        self.tell(pid);
        for other in self.players.keys().copied().collect::<Vec<_>>() {
            if self.players.get(&other).is_some_and(|player| player.parent == pid && other != 1) {
                self.players.get_mut(&other).unwrap().parent = 1;
                if self.players[&other].ended.is_some() {
                    self.tell(other);
                }
            }
        }
        if leads {
            let members = |game: &Self| {
                let alive = |(pid, player): (&u32, &Player)| {
                    (player.group == group && player.ended.is_none()).then_some((player.endpoint.slot(), *pid))
                };
                game.players.iter().filter_map(alive).min()
            };
            while let Some((_, member)) = members(self) {
                self.has_ended(member, 1);
            }
        }
    }

    /// A parent that waits hears of the end of a child.
    fn tell(&mut self, pid: u32) {
        let (parent, status) = (self.players[&pid].parent, self.players[&pid].ended.unwrap());
        let Some(wait) = self.players[&parent].waits else { return };
        if self.is_child(parent, wait, pid) {
            let endpoint = self.players[&parent].endpoint;
            // One that has been ended since, in the same step, has taken its answer along.
            if self.bench.lives(endpoint) {
                assert_eq!(self.bench.waited(endpoint), Some(Ok((pid, status))));
            }
            self.players.get_mut(&parent).unwrap().waits = None;
            self.reap(pid);
        }
    }

    fn end(&mut self, me: u32) {
        if me == 1 {
            return;
        }
        let code = self.below(256) as u32;
        self.bench.exit(self.players[&me].endpoint, code);
        self.has_ended(me, code << 8);
    }

    /// Somebody is killed, by a signal of another one or of the kernel.
    fn kill(&mut self, me: u32) {
        let others: Vec<_> = self.players.iter().filter(|(pid, p)| **pid != 1 && p.ended.is_none()).collect();
        if others.is_empty() {
            return;
        }
        let victims: Vec<_> = others.into_iter().map(|(pid, player)| (*pid, player.endpoint)).collect();
        let (pid, endpoint) = victims[self.below(victims.len())];
        let signal = if self.below(2) == 0 {
            self.bench.kill(self.players[&me].endpoint, pid as i32, KILL).unwrap();
            KILL
        } else {
            self.bench.fault(endpoint, SEGV);
            SEGV
        };
        self.has_ended(pid, signal);
    }

    fn begin_session(&mut self, me: u32) {
        let is_free = self.players.values().all(|player| player.group != me);
        let done = self.bench.asks(self.players[&me].endpoint, &SetSession {});
        let expected = if is_free { Ok(SessionSet { pid: me, reserved: 0 }) } else { Err(Errno::Perm) };
        assert_eq!(done, expected);
        if is_free {
            let player = self.players.get_mut(&me).unwrap();
            (player.group, player.session) = (me, me);
        }
    }

    fn step(&mut self) {
        let free = |(pid, player): (&u32, &Player)| (player.ended.is_none() && player.waits.is_none()).then_some(*pid);
        let runs: Vec<_> = self.players.iter().filter_map(free).collect();
        // If everybody waits, somebody has to be ended from outside.
        if runs.is_empty() {
            let others: Vec<_> = self.players.iter().filter(|(pid, p)| **pid != 1 && p.ended.is_none()).collect();
            let (pid, endpoint) = others.first().map(|(pid, player)| (**pid, player.endpoint)).expect("somebody waits");
            self.bench.fault(endpoint, SEGV);
            return self.has_ended(pid, SEGV);
        }
        let me = runs[self.below(runs.len())];
        match self.below(10) {
            0..4 => self.fork(me),
            4..6 => self.end(me),
            6..8 => self.wait(me),
            8 => self.kill(me),
            _ => self.begin_session(me),
        }
    }

    /// Everybody is where the model has him.
    fn compare(&mut self) {
        let users = self.bench.pm.table.iter().filter(|(_, p)| !p.is(crate::process::Flags::SERVICE)).count();
        assert_eq!(users, self.players.len());
        for (pid, player) in &self.players {
            let slot = self.bench.pm.table.by_pid(*pid).expect("it is known");
            let process = &self.bench.pm.table[slot];
            let parent = self.bench.pm.table.pid(process.parent);
            let seen = (process.endpoint, parent, process.group, process.session);
            assert_eq!(seen, (player.endpoint, player.parent, player.group, player.session), "{pid}");
            assert_eq!(process.is(crate::process::Flags::ZOMBIE), player.ended.is_some());
            assert_eq!(self.bench.lives(player.endpoint), player.ended.is_none());
        }
        self.bench.check();
    }
}

#[test]
fn nobody_is_lost_and_everybody_is_told() {
    let soak = std::env::var_os("SELIX_SOAK").is_some_and(|value| value == "1");
    let (seeds, steps) = if soak { (200, 20_000) } else { (12, 4_000) };
    for seed in 1..=seeds {
        test(|bench| {
            let init = Player { endpoint: boot("init"), parent: 0, group: 1, session: 1, ended: None, waits: None };
            let players = BTreeMap::from([(1, init)]);
            let mut game = Game { bench, players, seed: seed * 0x9e37_79b9, reaped: 0 };
            for step in 0..steps {
                game.step();
                if step % 16 == 0 {
                    game.compare();
                }
            }
            assert!(game.reaped > steps / 20, "{} were told", game.reaped);
            game.compare();
            // In the end the counts are what they were.
            for (pid, player) in game.players.clone() {
                // Some take others along.
                if pid != 1 && game.bench.lives(player.endpoint) {
                    game.bench.fault(player.endpoint, SEGV);
                }
            }
            let init = boot("init");
            if game.players[&1].waits.is_some() && game.bench.waited(init).is_none() {
                game.bench.fault(init, 1);
                return;
            }
            while game.bench.poll(init).is_ok() {}
            assert_eq!(game.bench.len(), 5);
        });
    }
}
