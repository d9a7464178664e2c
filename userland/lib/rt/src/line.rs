//! A line of text of limited length.

use core::fmt;
use protocol::kernel::MAX_DIAG;

/// Stands at the end of a line that was cut.
const CUT: &str = "...";

/// Text for one write to the kernel log. What does not fit is cut off, and three dots stand for it.
#[derive(Debug)]
pub struct Line {
    bytes: [u8; MAX_DIAG],
    len: usize,
    cut: bool,
}

impl Line {
    /// An empty line.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; MAX_DIAG], len: 0, cut: false }
    }

    /// What was written so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn append(&mut self, text: &str) {
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text.as_bytes());
        self.len += text.len();
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Ok(());
        }
        let room = MAX_DIAG - CUT.len() - self.len;
        let end = text.floor_char_boundary(room);
        self.append(&text[..end]);
        if end < text.len() {
            self.append(CUT);
            self.cut = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use core::fmt::Write;
    use std::string::String;

    fn written(parts: &[&str]) -> String {
        let mut line = Line::new();
        for part in parts {
            line.write_str(part).unwrap();
        }
        String::from_utf8(line.as_bytes().to_vec()).expect("valid text")
    }

    #[test]
    fn short_text_is_kept() {
        assert_eq!(written(&[]), "");
        assert_eq!(written(&["one ", "", "two"]), "one two");
    }

    #[test]
    fn long_text_is_cut_once() {
        let most = "x".repeat(MAX_DIAG - CUT.len());
        assert_eq!(written(&[&most]), most);
        for rest in ["y", "yyyyyyyyy"] {
            assert_eq!(written(&[&most, rest, "never"]), std::format!("{most}..."));
        }
    }

    #[test]
    fn characters_are_not_split() {
        for shift in 0..4 {
            let text = std::format!("{}{}", "x".repeat(shift), "\u{1f980}".repeat(MAX_DIAG));
            let kept = written(&[&text]);
            assert!(kept.ends_with(CUT) && kept.len() <= MAX_DIAG && text.starts_with(&kept[..kept.len() - 3]));
        }
    }
}
