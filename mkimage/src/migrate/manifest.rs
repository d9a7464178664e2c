//! Manifests of format 1 to manifests of format 2 and policies.

use super::format1::{self, Program};
use crate::manifest::{Manifest, ManifestError};
use crate::system::System;
use abi::policy::ServicePolicy;
use libconf::Config;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

/// What becomes of a manifest of format 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The text of the manifest.
    pub manifest: String,
    /// The text of the policy.
    pub policy: String,
    /// Programs that may wait for each other for ever, and say so by `unordered` now.
    pub unordered: Vec<String>,
}

/// Converts the text of a manifest, which says then that the policy is in the file `policy`; `path` is for messages.
///
/// # Errors
/// All that is wrong with it.
pub fn convert(text: &str, path: &Path, policy: &str) -> Result<Migrated, ManifestError> {
    let refuse = |faults| ManifestError { path: path.into(), faults };
    let old = format1::parse(text).map_err(|fault| refuse(vec![fault]))?;
    let entries = format1::policy(&old, text).map_err(refuse)?;
    let programs = old.program.get_ref();
    let (policy_text, unordered) = policy_text(&entries, programs, text, old.name.get_ref());
    let new = without_authority(text, programs, policy);
    let manifest = Manifest::parse(&new, path)?;
    System::new(manifest, &policy_text)?;
    Ok(Migrated { manifest: new, policy: policy_text, unordered })
}

/// The text of the policy, with the comments that stood above the programs.
fn policy_text(entries: &[ServicePolicy], programs: &[Program], text: &str, image: &str) -> (String, Vec<String>) {
    let mut unordered = BTreeSet::new();
    loop {
        let plain = write(entries, &unordered, |_| "");
        let Err(faults) = Config::parse(&plain) else { break };
        // The faults of a good manifest can only be cycles; each of them begins in a block, which is taken out of the order.
        let blocks = libconf::blocks(&plain).unwrap_or_default();
        let before = unordered.len();
        for fault in faults {
            let holds = |range: &Range<usize>| {
                let (start, end) =
                    (libconf::Position::of(&plain, range.start), libconf::Position::of(&plain, range.end));
                start <= fault.at && fault.at <= end
            };
            unordered.extend(blocks.iter().filter(|block| holds(&block.range)).map(|block| block.name.text.to_owned()));
        }
        if unordered.len() == before {
            break; // Not a cycle: the caller finds the fault again.
        }
    }
    let comment = |name: &str| {
        let program = programs.iter().find(|program| program.name.get_ref() == name);
        program.map_or("", |program| comment_above(text, program.name.span().start))
    };
    let blocks = write(entries, &unordered, comment);
    let head = format!("# What the programs of the image `{image}` may do. What is not listed here is denied.\n\n");
    (head + &blocks, unordered.into_iter().collect())
}

fn write<'t>(entries: &[ServicePolicy], unordered: &BTreeSet<String>, comment: impl Fn(&str) -> &'t str) -> String {
    let text = libconf::write(entries);
    let blocks = text.split_inclusive("};\n").map(str::trim_start);
    let with_all = blocks.zip(entries).map(|(block, entry)| {
        let name = entry.name().unwrap_or("?");
        let end = if unordered.contains(name) { "    unordered;\n};\n" } else { "};\n" };
        format!("{}{}{end}", comment(name), block.strip_suffix("};\n").unwrap_or(block))
    });
    with_all.collect::<Vec<_>>().join("\n")
}

/// The lines with a comment right above the table of programs that holds the byte `at`.
fn comment_above(text: &str, at: usize) -> &str {
    let Some(table) = text[..at].rfind("[[program]]") else { return "" };
    let mut start = table;
    while let Some(line) = text[..start].strip_suffix('\n') {
        let line_start = line.rfind('\n').map_or(0, |i| i + 1);
        if !line[line_start..].starts_with('#') {
            break;
        }
        start = line_start;
    }
    &text[start..table]
}

/// The text without the lines of keys that stand in the policy now, and with the new format and the name of that file.
fn without_authority(text: &str, programs: &[Program], policy: &str) -> String {
    let mut cut: Vec<Range<usize>> =
        programs.iter().flat_map(Program::moved).map(|value| lines_of(text, value)).collect();
    cut.sort_by_key(|range| range.start);
    let mut new = String::new();
    let mut at = 0;
    for range in cut {
        new.push_str(&text[at..range.start.max(at)]);
        at = range.end.max(at);
    }
    new.push_str(&text[at..]);
    // There were no services yet.
    let services = if programs.iter().any(Program::loads) { "services = false\n" } else { "" };
    let mut is_first = true;
    let lines = new.split_inclusive('\n').map(|line| match line.trim_start().strip_prefix("format") {
        Some(rest) if is_first && rest.trim_start().starts_with('=') => {
            is_first = false;
            format!("format = 2\npolicy = {policy:?}\n{services}")
        }
        _ => line.to_owned(),
    });
    lines.collect()
}

/// The whole lines that a value stands on.
fn lines_of(text: &str, value: Range<usize>) -> Range<usize> {
    let start = text[..value.start].rfind('\n').map_or(0, |i| i + 1);
    let end = text[value.end..].find('\n').map_or(text.len(), |i| value.end + i + 1);
    start..end
}
