//! Watches what a guest writes while it runs, and says when the run is to end. Pure.

use crate::lines::clean;
use crate::outcome::{End, PANIC};

/// The serial log of a run under way.
pub(crate) struct Watch {
    serial: Vec<u8>,
    limit: usize,
    line_start: usize,
    wanted: Option<String>,
    panicked: bool,
}

impl Watch {
    /// A log of at most `limit` bytes. A line that begins with `wanted` ends the run.
    pub(crate) fn new(limit: usize, wanted: Option<String>) -> Self {
        Self { serial: Vec::new(), limit, line_start: 0, wanted, panicked: false }
    }

    /// Takes the next bytes; says how the run is to end, if it is.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<End> {
        let room = self.limit - self.serial.len();
        self.serial.extend_from_slice(&bytes[..bytes.len().min(room)]);
        while let Some(length) = self.serial[self.line_start..].iter().position(|&byte| byte == b'\n') {
            let line_end = self.line_start + length;
            let line = String::from_utf8_lossy(&self.serial[self.line_start..line_end]);
            let line = clean(&line);
            self.panicked |= line.starts_with(PANIC);
            let reached = self.wanted.as_ref().is_some_and(|wanted| line.starts_with(wanted));
            self.line_start = line_end + 1;
            if reached {
                return Some(End::GoalReached);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_line_is_seen_when_it_is_whole() {
        let mut watch = Watch::new(100, Some("selix: up".to_owned()));
        assert_eq!(watch.feed(b"other: selix: up\nselix: u"), None);
        assert_eq!(watch.feed(b"p 3 s"), None);
        assert_eq!(watch.feed(b"\r\n"), Some(End::GoalReached));
        assert_eq!(watch.into_log(), "other: selix: up\nselix: up 3 s\r\n");
    }

    #[test]
    fn the_log_may_be_full_but_not_fuller() {
        let mut watch = Watch::new(4, None);
        assert_eq!(watch.feed(b"abcd"), None);
        assert_eq!(watch.feed(b"e"), Some(End::Flooded(4)));
        assert_eq!(watch.feed(b"f"), Some(End::Flooded(4)));
        assert_eq!(watch.into_log(), "abcd");
    }

    #[test]
    fn a_panic_is_noticed_across_pieces() {
        let mut watch = Watch::new(100, None);
        for piece in ["\x1b[0msel", "ix: pan", "ic: out of ", "luck"] {
            watch.feed(piece.as_bytes());
            assert!(!watch.panicked());
        }
        watch.feed(b"\n");
        assert!(watch.panicked());
    }

    #[test]
    fn a_process_cannot_pretend_a_panic() {
        let mut watch = Watch::new(100, None);
        watch.feed(b"other: selix: panic\nother: \rselix: panic\n");
        assert!(!watch.panicked());
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_as_such() {
        let mut watch = Watch::new(100, Some("selix: up".to_owned()));
        assert_eq!(watch.feed(b"\xff\xfe\nselix: up\n"), Some(End::GoalReached));
        assert_eq!(watch.into_log(), "\u{fffd}\u{fffd}\nselix: up\n");
    }
}
