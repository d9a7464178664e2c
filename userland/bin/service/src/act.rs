//! Commands are carried out.

use crate::command::Command;
use crate::help::HELP;
use crate::options::Name;
use crate::table::{self, Row};
use abi::boot::BootEntry;
use abi::grant::GrantId;
use abi::{Endpoint, Errno};
use core::fmt;
use protocol::Call;
use protocol::rs::*;
use protocol::sef::TABLE_LEN;

/// What the command needs of the system.
pub trait System {
    /// Asks the root system process.
    ///
    /// # Errors
    /// Those of the way, and of the answer.
    fn ask<C: Call>(&mut self, call: &C) -> Result<C::Reply, Errno>;

    /// Has it start a service with arguments, which it reads.
    ///
    /// # Errors
    /// The same, and that nothing can be granted.
    fn up(&mut self, call: Up, arguments: &str) -> Result<UpDone, Errno>;

    /// How many pages a process has in memory.
    ///
    /// # Errors
    /// That the memory server does not tell.
    fn pages(&mut self, process: Endpoint) -> Result<u64, Errno>;

    /// Shows a line.
    fn print(&mut self, line: fmt::Arguments<'_>);
}

/// Reads a command line and does what it says. Gives the exit status: 0, or the number of the error, which was shown.
pub fn run<'a>(system: &mut impl System, words: impl Iterator<Item = &'a [u8]>) -> u64 {
    let command = match Command::read(words) {
        Ok(command) => command,
        Err(mistake) => {
            system.print(format_args!("{mistake}"));
            match mistake.usage() {
                Some(usage) => system.print(format_args!("usage: {usage}")),
                None => system.print(format_args!("see `service help`")),
            }
            return mistake.errno() as u64;
        }
    };
    match carry_out(system, &command) {
        Ok(()) => 0,
        Err(failed) => {
            system.print(format_args!("{failed}"));
            failed.errno as u64
        }
    }
}

/// What could not be done.
struct Failed {
    /// What was tried, such as `end`.
    what: &'static str,
    /// With which service or program.
    name: Name,
    errno: Errno,
}

/// Asks the root system process to do something, which has no other answer than that it is done.
fn ask(system: &mut impl System, call: &impl Call, what: &'static str, name: Name) -> Result<(), Failed> {
    system.ask(call).map(drop).map_err(|errno| Failed { what, name, errno })
}

fn carry_out(system: &mut impl System, command: &Command<'_>) -> Result<(), Failed> {
    let failed = |what, name| move |errno| Failed { what, name, errno };
    let edit = |system, label, heartbeat| ask(system, &Edit { label, heartbeat }, "set the period of", label);
    match *command {
        Command::Up { program, label, arguments, period } => {
            let call = Up { program, label, arguments: GrantId::INVALID, len: 0 };
            let up = if arguments.is_empty() { system.ask(&call) } else { system.up(call, arguments) };
            up.map_err(failed("start", program))?;
            let label = if label == Name::default() { program } else { label };
            period.map_or(Ok(()), |period| edit(system, label, period))
        }
        Command::Down(label) => ask(system, &Down { label }, "end", label),
        Command::Refresh(label) => ask(system, &Refresh { label }, "refresh", label),
        Command::Restart(label) => ask(system, &Restart { label }, "restart", label),
        Command::Update { label, program, state, patience } => {
            ask(system, &Update { label, program, state, patience }, "update", label)
        }
        Command::Edit { label, period } => edit(system, label, period),
        Command::List => list(system).map_err(failed("list", Name::default())),
        Command::Shutdown => ask(system, &Shutdown {}, "end", Name::default()),
        Command::Help => {
            HELP.iter().for_each(|line| system.print(format_args!("{line}")));
            Ok(())
        }
    }
}

/// Shows all services.
fn list(system: &mut impl System) -> Result<(), Errno> {
    let mut rows = [None; TABLE_LEN];
    let mut places = rows.iter_mut();
    for slot in 0.. {
        let info = match system.ask(&GetService { slot }) {
            Ok(info) => info,
            Err(Errno::Srch) => continue,
            Err(Errno::Dom) => break,
            Err(error) => return Err(error),
        };
        let pages = system.pages(info.endpoint).ok();
        *places.next().ok_or(Errno::TooBig)? = Some(Row { info, pages });
    }
    table::print(rows.iter().flatten().copied(), |line| system.print(line));
    Ok(())
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = BootEntry::decode_name(&self.name);
        let whom = name.unwrap_or("all services");
        write!(f, "cannot {} {whom}: {} ({})", self.what, self.why(), self.errno)
    }
}

impl Failed {
    /// What the error means here, and what to do.
    fn why(&self) -> &'static str {
        match (self.what, self.errno) {
            ("end", Errno::Perm) => {
                "the policy of whoever asks does not name it under `control`, or the system cannot go on without it"
            }
            (_, Errno::Perm) => "the policy of whoever asks does not name it under `control`, or it is no service",
            ("start", Errno::NoEnt) => "the boot set or the policy has no such program",
            ("refresh", Errno::NoEnt) => "its program is not kept: write `copy` in its policy",
            ("update", Errno::NoEnt) => "the boot set has no such program, or does not keep it",
            ("start", Errno::Busy) => "a service or another program is called so: give it another label by `-label`",
            ("restart", Errno::Busy) => "it runs, or begins: `refresh` ends it and starts it again",
            ("update", Errno::Busy) => {
                "it does not run, or does not let itself be replaced now, or another update is under way"
            }
            (_, Errno::Busy) => "something is under way with it: wait until it has come to an end",
            (_, Errno::Srch) => "there is no such service: `list` shows all",
            ("update", Errno::NoSys) => "it cannot be replaced while it runs: use `refresh`",
            ("update", Errno::Inval) => "it cannot be replaced in this state: give another one by `-state`",
            ("update", Errno::TimedOut) => {
                "it was not ready in time, or the new version did not begin: more time is given by `-maxtime`"
            }
            (_, Errno::TimedOut) => "it has not begun in time",
            (_, Errno::DeadSrcDst) => "it has died: the log says of what",
            (_, Errno::NoMem) => "there is no room for it: end another service",
            (_, Errno::NoExec) => "its program cannot be executed: the log says why",
            _ => "the log may say more",
        }
    }
}
