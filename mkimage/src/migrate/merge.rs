//! Merges a policy that was changed locally with a newer one.
//!
//! The unit is the block: what its owner has changed stays, what has changed in the newer file is taken over, and where both have changed one
//! block differently, both texts are kept between marks that no policy can have.

use crate::manifest::{Fault, ManifestError};
use libconf::{Block, CONFLICT_MARKS};
use std::path::Path;

/// One of the three files.
#[derive(Clone, Copy, Debug)]
pub struct Input<'t> {
    /// Its name, for messages.
    pub path: &'t Path,
    /// Its text.
    pub text: &'t str,
}

/// What comes out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// The text.
    pub text: String,
    /// Names of the blocks that came from the newer file, or changed with it.
    pub taken: Vec<String>,
    /// Names of those that are as they were locally, although the newer file has them otherwise or not at all.
    pub kept: Vec<String>,
    /// Names of those that the newer file has no more, and nobody has changed.
    pub removed: Vec<String>,
    /// Where both sides have changed a block.
    pub conflicts: Vec<Conflict>,
}

/// A block that both sides have changed. An empty text is that of a block that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Its name.
    pub name: String,
    /// What it is locally.
    pub local: String,
    /// What it is in the newer file.
    pub newer: String,
}

/// A block with the comment right above it.
struct Piece<'t> {
    name: &'t str,
    text: &'t str,
    /// Its words: what counts.
    words: Vec<&'t str>,
    /// Where it begins and ends.
    range: std::ops::Range<usize>,
}

/// Merges what has become of `base` in `local` and in `newer`.
///
/// # Errors
/// That one of the texts does not consist of blocks with different names.
pub fn merge(base: Input<'_>, local: Input<'_>, newer: Input<'_>) -> Result<Merged, ManifestError> {
    let (base, locals, newers) = (pieces(base)?, pieces(local)?, pieces(newer)?);
    let mut merged = Merged::default();
    let mut at = 0;
    for new in &newers {
        merged.text.push_str(&newer.text[at..new.range.start]);
        at = new.range.end;
        merged.block(find(&base, new.name), find(&locals, new.name), Some(new), new.name);
    }
    merged.text.push_str(&newer.text[at..]);
    for old in locals.iter().filter(|old| find(&newers, old.name).is_none()) {
        let before = merged.text.len();
        merged.text.push('\n');
        merged.block(find(&base, old.name), Some(old), None, old.name);
        if merged.text.len() == before + 1 {
            merged.text.truncate(before);
        } else {
            merged.text.push('\n');
        }
    }
    Ok(merged)
}

impl Merged {
    fn block(&mut self, base: Option<&Piece<'_>>, local: Option<&Piece<'_>>, newer: Option<&Piece<'_>>, name: &str) {
        let words = |piece: Option<&Piece<'_>>| piece.map(|piece| piece.words.join(" "));
        let text = |piece: Option<&Piece<'_>>| piece.map_or(String::new(), |piece| piece.text.to_owned());
        let is_untouched = base.map(|piece| piece.text) == local.map(|piece| piece.text);
        if is_untouched {
            if words(base) != words(newer) {
                let list = if newer.is_some() { &mut self.taken } else { &mut self.removed };
                list.push(name.to_owned());
            }
            self.text.push_str(&text(newer));
        } else if words(newer) == words(base) || words(newer) == words(local) {
            if words(newer) != words(local) {
                self.kept.push(name.to_owned());
            }
            self.text.push_str(&text(local));
        } else {
            let [start, middle, end] = CONFLICT_MARKS;
            let (local, newer) = (text(local), text(newer));
            let line = |text: &str| if text.is_empty() { String::new() } else { format!("{}\n", text.trim_end()) };
            self.text += &format!("{start} local\n{}{middle}\n{}{end} newer", line(&local), line(&newer));
            self.conflicts.push(Conflict { name: name.to_owned(), local, newer });
        }
    }
}

fn find<'p, 't>(pieces: &'p [Piece<'t>], name: &str) -> Option<&'p Piece<'t>> {
    pieces.iter().find(|piece| piece.name == name)
}

fn pieces<'t>(input: Input<'t>) -> Result<Vec<Piece<'t>>, ManifestError> {
    let refuse = |faults: Vec<Fault>| ManifestError { path: input.path.into(), faults };
    let blocks = libconf::blocks(input.text).map_err(refuse)?;
    let mut least = 0;
    let mut pieces = Vec::new();
    for block in &blocks {
        let start = start_of_comment(input.text, block.range.start, least);
        least = block.range.end;
        let range = start..block.range.end;
        pieces.push(Piece { name: block.name.text, text: &input.text[range.clone()], words: words(block), range });
    }
    Ok(pieces)
}

/// The words of a block, and where its statements end.
fn words<'t>(block: &Block<'t>) -> Vec<&'t str> {
    let kind = if block.is_class { "class" } else { "service" };
    let mut words = vec![kind, block.name.text];
    for statement in &block.statements {
        words.push(statement.keyword.text);
        for argument in &statement.arguments {
            words.extend(argument.quoted.then_some("\""));
            words.push(argument.text);
        }
        words.push(";");
    }
    words
}

/// Where the lines with a comment begin that stand right above a block; not before `least`.
fn start_of_comment(text: &str, block: usize, least: usize) -> usize {
    let mut start = block;
    while let Some(line) = text[least..start].strip_suffix('\n') {
        let line_start = line.rfind('\n').map(|i| i + 1);
        let begins_line = line_start.is_some() || least == 0;
        let line_start = line_start.unwrap_or(0);
        if !begins_line || !line[line_start..].trim_start().starts_with('#') {
            break;
        }
        start = least + line_start;
    }
    start
}
