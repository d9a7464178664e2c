//! Recovery scripts. A service whose policy names one is not restarted when it has died: the script is started, and says what becomes of it. If
//! it does not, the service is restarted as any other.

use crate::arguments::Arguments;
use crate::service::{Instance, Name, PERIODS_TO_DECIDE, Phase, Service};
use crate::{Root, Servers};
use abi::boot::NAME_LEN;
use abi::{Endpoint, Errno};
use core::fmt::Write;
use protocol::Transport;
use protocol::rs::Reason;

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// Starts the recovery script of a service that is dead, if it has one. Whether that decides about the service now.
    pub(crate) fn ask_script(&mut self, place: usize) -> bool {
        let Some(script) = self.script_of(place) else {
            return false;
        };
        let label = self.label(place);
        match self.start_script(place, script) {
            Ok((script, script_label)) => {
                let until = self.work.now + PERIODS_TO_DECIDE;
                self.set_phase(place, Phase::Recovering { script, until });
                self.servers.log(format_args!("{script_label} decides about {label}"));
                true
            }
            Err(error) => {
                self.servers.log(format_args!("the recovery script of {label} cannot be started: {error}"));
                false
            }
        }
    }

    /// The policy of the script that is to be started for a service. While the system boots or ends there is none, and not for what was
    /// restarted too often.
    fn script_of(&self, place: usize) -> Option<usize> {
        let service = self.services.get(place)?;
        let policy = self.policy.get(service.policy)?;
        let script = usize::from(policy.script);
        let is_time = self.work.is_up && !self.work.shuts_down && !service.is_spent(policy);
        self.policy.get(script).filter(|_| is_time).map(|_| script)
    }

    /// Starts a script, and gives its process and label.
    fn start_script(&mut self, place: usize, policy: usize) -> Result<(Endpoint, Name), Errno> {
        let Some(&service) = self.services.get(place) else {
            return Err(Errno::Srch);
        };
        let program = self.policy.get(policy).map(|policy| Name(policy.name)).ok_or(Errno::NoEnt)?;
        let image = self.image(program).ok_or(Errno::NoEnt)?;
        let label = self.script_label(program, place).ok_or(Errno::Busy)?;
        let mut arguments = Arguments::NONE;
        write!(arguments, "{}\0{}\0{}\0", service.label, reason(service.reason), service.restarts)
            .map_err(|_| Errno::TooBig)?;
        let now = Instance { endpoint: Endpoint::NONE, program, image };
        let script = self.bring_up(label, policy, now, arguments, None)?;
        let process = self.services.get(script).map(|script| script.now.endpoint).ok_or(Errno::DeadSrcDst)?;
        Ok((process, label))
    }

    /// The name of its program; or, if another one decides about another service already, that with the place of the service.
    fn script_label(&self, program: Name, place: usize) -> Option<Name> {
        let mut text = Arguments::NONE;
        let short = program.text().get(..NAME_LEN - 4).unwrap_or(program.text());
        write!(text, "{short}-{place:02}").ok()?;
        let mut numbered = [0; NAME_LEN];
        numbered.get_mut(..text.bytes().len())?.copy_from_slice(text.bytes());
        [program, Name(numbered)].into_iter().find(|label| self.services.labeled(*label).is_none())
    }

    /// A service is gone that may have been a script: what it has not decided about is restarted as any other.
    pub(crate) fn script_ended(&mut self, script: &Service) {
        let waits = |service: &Service| matches!(service.phase, Phase::Recovering { script: it, .. } if it == script.now.endpoint);
        let undecided = self.services.places().find(|place| self.services.get(*place).is_some_and(waits));
        if let Some(place) = undecided {
            let label = self.label(place);
            self.servers.log(format_args!("{} has ended and said nothing about {label}", script.label));
            self.restart_by_policy(place);
        }
    }

    /// A script has had its time.
    pub(crate) fn end_script(&mut self, place: usize, script: Endpoint) {
        let label = self.label(place);
        self.servers.log(format_args!("the recovery script of {label} takes too long"));
        match self.services.named(script) {
            Some(script) => self.remove(script),
            None => self.restart_by_policy(place),
        }
    }
}

/// Why a service is dead, in the words for scripts.
fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Request => "restart",
        Reason::NoHeartbeat => "no-heartbeat",
        Reason::Crash | Reason::None => "terminated",
    }
}
