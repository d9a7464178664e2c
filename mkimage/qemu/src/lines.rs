//! Splits a serial log into lines. Pure.

/// Begins a control sequence of a terminal.
const ESCAPE: char = '\x1b';

/// The lines of a log, each without its end and without what firmware and boot loaders put before it: control
/// sequences that clear or colour the screen. Within a line nothing is taken away, so that no process can hide the name
/// before it.
pub(crate) fn lines(log: &str) -> impl Iterator<Item = &str> {
    log.lines().map(clean)
}

/// One line of a log as [`lines`] gives it.
pub(crate) fn clean(line: &str) -> &str {
    let mut text = line.trim_end_matches(['\r', '\n']);
    while let Some(rest) = text.strip_prefix('\r').or_else(|| strip_sequence(text)) {
        text = rest;
    }
    text
}

/// The last line of a log in which there is anything.
pub(crate) fn last_line(log: &str) -> Option<&str> {
    lines(log).filter(|line| !line.trim().is_empty()).last()
}

/// What follows a control sequence: `ESC [`, parameters, one final character; or `ESC` and one character.
fn strip_sequence(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(ESCAPE)?;
    let is_parameter = |character: char| (' '..='?').contains(&character);
    let rest = rest.strip_prefix('[').map_or(rest, |sequence| sequence.trim_start_matches(is_parameter));
    let mut characters = rest.chars();
    characters.next();
    Some(characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_before_a_line_are_none_of_it() {
        assert_eq!(clean("\x1b[2J\x1b[01;01H\x1b[=3h\x1bcselix: up\r\n"), "selix: up");
        assert_eq!(clean("\r\x1b[0mselix: up"), "selix: up");
    }

    #[test]
    fn control_sequences_within_a_line_stay() {
        assert_eq!(clean("other: \x1b[2Jsuite: ok a"), "other: \x1b[2Jsuite: ok a");
    }

    #[test]
    fn cut_sequences_do_no_harm() {
        for text in ["\x1b", "\x1b[", "\x1b[0", "\x1b\x1b\x1b[", "\x1bé", "\r\r"] {
            assert!(clean(text).len() <= text.len());
        }
    }

    #[test]
    fn the_last_line_has_something_in_it() {
        assert_eq!(last_line("a\r\nb\r\n \r\n\x1b[0m\n"), Some("b"));
        assert_eq!(last_line("\n\n"), None);
    }
}
