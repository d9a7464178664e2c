//! The kernel's own options on its command line.
//!
//! The line has words `name=value`, separated by blanks; later ones win. Words without `=` and names that the kernel does
//! not know are left for others. A known name with a bad value is reported, and the value it had before stays.

use core::num::NonZeroU32;

/// How to crash on purpose at the end of boot, to test those who must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// `crash=panic`.
    Panic,
    /// `crash=page-fault`: the kernel touches an address that is not mapped.
    PageFault,
    /// `crash=stack`: the kernel's stack overflows.
    Stack,
    /// `crash=triple-fault`.
    TripleFault,
    /// `crash=reset`.
    Reset,
    /// `crash=hang`: stops without a word.
    Hang,
    /// `crash=lock`: the boot processor takes the kernel lock and keeps it, while the others want it.
    Lock,
}

/// What to tell of in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// `trace=ipc`: every message.
    Ipc,
    /// `trace=use`: every right that a process uses for the first time.
    Use,
}

/// What the command line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `debug-exit=0xf4`: the I/O port of QEMU's `isa-debug-exit` device, through which the kernel leaves QEMU at an
    /// abort or a panic. Not given: it halts; other machines have other things at that port.
    pub debug_exit: Option<u16>,
    /// See [`Crash`].
    pub crash: Option<Crash>,
    /// See [`Trace`].
    pub trace: Option<Trace>,
    /// `check=1`: at each trap, whether the kernel is whole, and at an abort whether its text is; with another number, at
    /// every so many traps.
    pub check: Option<NonZeroU32>,
}

impl Options {
    /// Reads a command line. `complain` is called with each name and value that is no good.
    pub fn parse<'a>(line: &'a str, mut complain: impl FnMut(&'a str, &'a str)) -> Self {
        let mut options = Self::default();
        for (name, value) in line.split_ascii_whitespace().filter_map(|word| word.split_once('=')) {
            let good = match name {
                "debug-exit" => store(&mut options.debug_exit, port(value)),
                "crash" => store(&mut options.crash, crash(value)),
                "check" => store(&mut options.check, count(value)),
                "trace" => store(&mut options.trace, trace(value)),
                _ => true,
            };
            if !good {
                complain(name, value);
            }
        }
        options
    }
}

fn store<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let good = value.is_some();
    if good {
        *place = value;
    }
    good
}

fn port(text: &str) -> Option<u16> {
    match text.strip_prefix("0x") {
        // A sign would pass `from_str_radix`.
        Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => u16::from_str_radix(hex, 16).ok(),
        _ => None,
    }
}

fn count(text: &str) -> Option<NonZeroU32> {
    // A sign would pass `parse`.
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn crash(text: &str) -> Option<Crash> {
    Some(match text {
        "panic" => Crash::Panic,
        "page-fault" => Crash::PageFault,
        "stack" => Crash::Stack,
        "triple-fault" => Crash::TripleFault,
        "reset" => Crash::Reset,
        "hang" => Crash::Hang,
        "lock" => Crash::Lock,
        _ => return None,
    })
}

fn trace(text: &str) -> Option<Trace> {
    match text {
        "ipc" => Some(Trace::Ipc),
        "use" => Some(Trace::Use),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    fn parse(line: &str) -> (Options, Vec<(&str, &str)>) {
        let mut bad = Vec::new();
        let options = Options::parse(line, |name, value| bad.push((name, value)));
        (options, bad)
    }

    #[test]
    fn known_words() {
        let (o, bad) = parse("debug-exit=0xf4 crash=triple-fault trace=ipc");
        assert_eq!((o.debug_exit, o.crash, o.trace), (Some(0xf4), Some(Crash::TripleFault), Some(Trace::Ipc)));
        assert!(bad.is_empty());
        assert_eq!(parse("trace=use").0.trace, Some(Trace::Use));
    }

    #[test]
    fn empty_unknown_and_wordy_lines_change_nothing() {
        let long = "word ".repeat(205);
        for line in ["", "   ", "quiet", "rootdevname=c0d0p1 verbose", "=", "=x", "crash", &long] {
            assert_eq!(parse(line), (Options::default(), Vec::new()), "{line}");
        }
    }

    #[test]
    fn the_last_good_value_wins() {
        let (o, bad) =
            parse("debug-exit=0x1 debug-exit=0x2 debug-exit=0x10000 debug-exit=0x+3 debug-exit=4 debug-exit=");
        assert_eq!(o.debug_exit, Some(2));
        let values: Vec<_> = bad.iter().map(|(_, value)| String::from(*value)).collect();
        assert_eq!(values, ["0x10000", "0x+3", "4", ""]);
    }

    #[test]
    fn a_check_has_a_number() {
        assert_eq!(parse("check=64").0.check, NonZeroU32::new(64));
        for bad in ["0", "", "+1", "-1", "4294967296", "yes"] {
            let line = std::format!("check={bad}");
            assert_eq!(parse(&line), (Options::default(), std::vec![("check", bad)]));
        }
    }

    #[test]
    fn bad_words_are_reported() {
        assert_eq!(parse("crash=maybe"), (Options::default(), std::vec![("crash", "maybe")]));
        assert_eq!(parse("trace=IPC trace="), (Options::default(), std::vec![("trace", "IPC"), ("trace", "")]));
    }
}
