//! The table of services.

use abi::boot::{BootEntry, NAME_LEN};
use arrayvec::ArrayString;
use core::fmt::{self, Write};
use protocol::rs::{Reason, ServiceInfo, State};

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What the root system process tells of a service.
    pub info: ServiceInfo,
    /// How many pages it has in memory, as far as the memory server tells.
    pub pages: Option<u64>,
}

/// Prints the table, line by line. There is no column for memory if nothing is known of it.
pub fn print(rows: impl Iterator<Item = Row> + Clone, mut line: impl FnMut(fmt::Arguments<'_>)) {
    const HEAD: &str = "LABEL           ENDPOINT      PID STATE      RESTARTS LAST";
    if !rows.clone().any(|row| row.pages.is_some()) {
        line(format_args!("{HEAD}"));
        return rows.for_each(|row| line(format_args!("{row}")));
    }
    line(format_args!("{HEAD}            PAGES"));
    for row in rows {
        match row.pages {
            Some(pages) => line(format_args!("{row:12} {pages:>8}")),
            None => line(format_args!("{row:12} {:>8}", "-")),
        }
    }
}

/// All cells but that of its memory. The width is that of the last one.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = &self.info;
        // It is padded as a whole.
        let mut endpoint = ArrayString::<24>::new();
        write!(endpoint, "{}", info.endpoint)?;
        let (label, state) = (BootEntry::decode_name(&info.label).unwrap_or("?"), state(info.state));
        write!(f, "{label:NAME_LEN$}{endpoint:<10} {:>6} {state:<10} {:>8} ", info.pid, info.restarts)?;
        f.pad(reason(info.reason))
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Active => "active",
        State::Updating => "updating",
        State::Ending => "ending",
        State::Waiting => "waiting",
        State::GivenUp => "given-up",
        State::Recovering => "recovering",
    }
}

/// Why it was restarted last.
fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::None => "-",
        Reason::Request => "request",
        Reason::Crash => "crash",
        Reason::NoHeartbeat => "no-heartbeat",
    }
}
