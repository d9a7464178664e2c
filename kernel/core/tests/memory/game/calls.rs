//! Kernel calls of the players, and what they come to.

use super::*;

impl Game<'_, '_> {
    pub(super) fn make_call(&mut self, player: usize) {
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
    pub(super) fn compare(&mut self, player: usize, call: Call, outcome: Outcome) {
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
    pub(super) fn note_features(&mut self, plan: &Plan, done: u64) {
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
