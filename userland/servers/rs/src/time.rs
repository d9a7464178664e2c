//! What the root system process does each period: pings, deadlines, restarts that have waited.

use crate::service::{Phase, Service, Then, Waiter};
use crate::{Root, Servers};
use abi::{Endpoint, Errno};
use protocol::Transport;
use protocol::kernel::{SetAlarm, Times};
use protocol::rs::Reason;

/// So many pings may stay unanswered.
const PATIENCE: u64 = 2;

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// Has the kernel notify when the next period begins.
    pub(crate) fn set_alarm(&mut self) {
        let armed = self
            .kernel()
            .times(Times {})
            .and_then(|uptime| self.kernel().setalarm(SetAlarm { ticks: uptime.hz, absolute: 0 }));
        if let Err(error) = armed {
            self.servers.log(format_args!("services are not watched: {error}"));
        }
    }

    /// A period is over.
    pub(crate) fn period(&mut self) {
        self.work.now += 1;
        self.set_alarm();
        self.tell_denials();
        for place in self.services.places() {
            self.look_after(place);
        }
    }

    /// A service has notified: it is alive.
    pub(crate) fn is_alive(&mut self, process: Endpoint) {
        let now = self.work.now;
        if let Some(service) = self.services.named(process).and_then(|place| self.services.get_mut(place)) {
            service.alive = now;
        }
    }

    fn look_after(&mut self, place: usize) {
        let now = self.work.now;
        let Some(&service) = self.services.get(place) else {
            return;
        };
        match service.phase {
            Phase::Starting { until, .. } if now > until => self.cannot_begin(place, Errno::TimedOut),
            Phase::Preparing { until, .. } if now > until => self.call_off(place, Errno::TimedOut),
            Phase::Ending { until, .. } if now > until => self.force_to_end(place),
            Phase::Recovering { script, until } if now > until => self.end_script(place, script),
            Phase::Waiting { periods: 0 | 1 } => self.start_again(place),
            Phase::Waiting { periods } => self.set_phase(place, Phase::Waiting { periods: periods - 1 }),
            Phase::Active => self.ping(place),
            _ => {}
        }
    }

    fn ping(&mut self, place: usize) {
        let now = self.work.now;
        let Some(service) = self.services.get_mut(place) else {
            return;
        };
        // It was well for a period.
        if service.alive >= service.pinged && now > service.pinged {
            service.failures = 0;
        }
        if service.heartbeat == 0 {
            service.watch_from(now);
            return;
        }
        let process = service.now.endpoint;
        let is_silent = service.alive < service.pinged;
        if is_silent && now - service.alive > PATIENCE * service.heartbeat {
            let label = service.label;
            self.servers.log(format_args!("{label} does not answer"));
            self.freeze(process);
            self.crashed(place, Reason::NoHeartbeat);
        } else if now - service.pinged >= service.heartbeat {
            service.pinged = now;
            self.servers.notify(process);
        }
    }

    /// Everything is to end, what was started last first.
    pub(crate) fn shut_down(&mut self) {
        self.work.shuts_down = true;
        let mut all = [0; crate::SERVICES];
        let mut count = 0;
        for (slot, place) in all.iter_mut().zip(self.services.places()) {
            *slot = place;
            count += 1;
        }
        for place in all[..count].iter().rev() {
            let Some(&Service { phase, waiter, .. }) = self.services.get(*place) else {
                continue;
            };
            match phase {
                Phase::GivenUp => {}
                Phase::Waiting { .. } | Phase::Recovering { .. } => self.give_up(*place, Errno::DeadSrcDst),
                _ => {
                    // Whoever wants its end gets that; nothing else comes of what is under way.
                    if !matches!(waiter, Some(Waiter::Down(_))) {
                        self.settled(*place, Err(Errno::DeadSrcDst));
                    }
                    self.ask_to_end(*place, Then::Gone);
                }
            }
        }
    }
}
