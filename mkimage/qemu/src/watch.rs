//! Watches what a guest writes while it runs, and says when the run is to end. Pure.

use crate::Goal;
use crate::lines::clean;
use crate::outcome::{End, KERNEL, is_panic};

/// What follows the name of a process in the kernel's line that tells of its end.
const ENDINGS: [&str; 2] = [" exited, status ", " stopped: "];

/// The serial log of a run under way.
pub(crate) struct Watch {
    serial: Vec<u8>,
    limit: usize,
    line_start: usize,
    goal: Goal,
    panicked: bool,
}

impl Watch {
    /// A log of at most `limit` bytes, of a run that is to reach `goal`.
    pub(crate) fn new(limit: usize, goal: Goal) -> Self {
        Self { serial: Vec::new(), limit, line_start: 0, goal, panicked: false }
    }

    /// Takes the next bytes; says how the run is to end, if it is.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<End> {
        let room = self.limit - self.serial.len();
        self.serial.extend_from_slice(&bytes[..bytes.len().min(room)]);
        while let Some(length) = self.serial[self.line_start..].iter().position(|&byte| byte == b'\n') {
            let line_end = self.line_start + length;
            let line = String::from_utf8_lossy(&self.serial[self.line_start..line_end]);
            let line = clean(&line);
            self.panicked |= is_panic(line);
            let end = end_by(&self.goal, line);
            self.line_start = line_end + 1;
            if end.is_some() {
                return end;
            }
        }
        (bytes.len() > room).then_some(End::Flooded(self.limit))
    }

    /// The kernel has panicked.
    pub(crate) fn panicked(&self) -> bool {
        self.panicked
    }

    /// The log. What is no UTF-8 is shown as such.
    pub(crate) fn into_log(self) -> String {
        String::from_utf8_lossy(&self.serial).into_owned()
    }
}

/// How a line ends a run on its way to `goal`, if it does: the wanted line is there, or nothing more can come of a suite.
fn end_by(goal: &Goal, line: &str) -> Option<End> {
    match goal {
        Goal::Line(wanted) => line.starts_with(wanted).then_some(End::GoalReached),
        Goal::Suite { name, .. } => {
            // A suite leaves QEMU while it runs, so its process outlives every run that can pass.
            let told = line.strip_prefix(KERNEL)?.strip_prefix(' ')?.strip_prefix(name.as_str())?;
            ENDINGS.iter().any(|ending| told.starts_with(ending)).then(|| End::SuiteEnded(line.to_owned()))
        }
        Goal::Session => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(line: &str) -> Goal {
        Goal::Line(line.to_owned())
    }

    #[test]
    fn the_end_of_the_suites_process_ends_its_run() {
        let goal = Goal::Suite { name: "t".to_owned(), tests: Vec::new() };
        for line in ["selix: t exited, status 0", "selix: t stopped: page fault"] {
            let mut watch = Watch::new(1000, goal.clone());
            assert_eq!(watch.feed(b"selix: up\nt: ok a\n"), None);
            assert_eq!(watch.feed(line.as_bytes()), None, "the line may go on");
            assert_eq!(watch.feed(b"\r\n"), Some(End::SuiteEnded(line.to_owned())));
        }
    }

    #[test]
    fn other_ends_and_other_writers_do_not_end_a_suite() {
        let mut watch = Watch::new(1000, Goal::Suite { name: "t".to_owned(), tests: Vec::new() });
        for line in [
            "selix: tt exited, status 0",
            "selix: u stopped: page fault",
            "selix: t",
            "selix:t exited, status 0",
            "selix: t exited",
            "t: selix: t exited, status 0",
            "u: \rselix: t stopped: no",
        ] {
            assert_eq!(watch.feed(format!("{line}\n").as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn the_wanted_line_is_seen_when_it_is_whole() {
        let mut watch = Watch::new(100, until("selix: up"));
        assert_eq!(watch.feed(b"other: selix: up\nselix: u"), None);
        assert_eq!(watch.feed(b"p 3 s"), None);
        assert_eq!(watch.feed(b"\r\n"), Some(End::GoalReached));
        assert_eq!(watch.into_log(), "other: selix: up\nselix: up 3 s\r\n");
    }

    #[test]
    fn the_log_may_be_full_but_not_fuller() {
        let mut watch = Watch::new(4, Goal::Session);
        assert_eq!(watch.feed(b"abcd"), None);
        assert_eq!(watch.feed(b"e"), Some(End::Flooded(4)));
        assert_eq!(watch.feed(b"f"), Some(End::Flooded(4)));
        assert_eq!(watch.into_log(), "abcd");
    }

    #[test]
    fn a_panic_is_noticed_across_pieces() {
        let mut watch = Watch::new(100, Goal::Session);
        for piece in ["\x1b[0msel", "ix: pan", "ic: out of ", "luck"] {
            watch.feed(piece.as_bytes());
            assert!(!watch.panicked());
        }
        watch.feed(b"\n");
        assert!(watch.panicked());
    }

    #[test]
    fn a_process_cannot_pretend_a_panic() {
        let mut watch = Watch::new(100, Goal::Session);
        watch.feed(b"other: selix: panic:\nother: \rselix: panic:\n");
        // What the kernel says of processes that are called so.
        watch.feed(b"selix: panic exited, status 0\nselix: panic-2 stopped: page fault\n");
        assert!(!watch.panicked());
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_as_such() {
        let mut watch = Watch::new(100, until("selix: up"));
        assert_eq!(watch.feed(b"\xff\xfe\nselix: up\n"), Some(End::GoalReached));
        assert_eq!(watch.into_log(), "\u{fffd}\u{fffd}\nselix: up\n");
    }
}
