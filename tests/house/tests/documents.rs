//! How documents are kept: links lead somewhere, no page is out of reach, and `UPDATING.md` can be acted upon.

use house::{files, root};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

const BOOK: &str = "docs";

fn read(file: &Path) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// Every link and picture of a document, as written.
fn links(text: &str) -> Vec<String> {
    let target = |event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.to_string()),
        _ => None,
    };
    Parser::new(text).filter_map(target).collect()
}

/// The names that a link may have behind `#`: a heading in lower case, with `-` for blanks and without punctuation.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in Parser::new(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => found.extend(heading.take()),
            Event::Text(part) | Event::Code(part) => {
                if let Some(heading) = &mut heading {
                    let kept = part.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
                    heading.extend(kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }));
                }
            }
            _ => {}
        }
    }
    found
}

/// `folder/target` without `.` and `..`; `None` if it leads out of the repository.
fn resolve(folder: &Path, target: &str) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// What is wrong with a link in a document; links to other places of the web are not looked at.
fn wrong_link(document: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
    let folder = document.parent().expect("a document is in a folder");
    let path = if target.is_empty() { Some(document.to_owned()) } else { resolve(folder, target) };
    let Some(path) = path.filter(|p| root().join(p).exists()) else {
        return Some(format!("{}: {link} leads nowhere", document.display()));
    };
    let is_missing = !anchor.is_empty() && !anchors(&read(&path)).contains(anchor);
    is_missing.then(|| format!("{}: {link}: there is no such heading", document.display()))
}

fn documents() -> impl Iterator<Item = PathBuf> {
    files().into_iter().filter(|f| f.extension().is_some_and(|e| e == "md"))
}

/// What stands as code in a document.
fn codes(text: &str) -> Vec<String> {
    let code = |event| match event {
        Event::Code(code) => Some(code.to_string()),
        _ => None,
    };
    Parser::new_ext(text, Options::ENABLE_TABLES).filter_map(code).collect()
}

/// What is wrong with a reference to a test, `FILE::NAME`, or to a whole file of tests.
fn wrong_test(code: &str) -> Option<String> {
    let (file, name) = code.split_once("::").unwrap_or((code, ""));
    let path = root().join(file);
    if !path.is_file() {
        return Some(format!("{code}: there is no such file"));
    }
    let text = read(Path::new(file));
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_there = name.is_empty() || words.any(|word| word == name);
    (!is_there).then(|| format!("{code}: the file has no such test"))
}

/// An entry of `UPDATING.md`: its heading without `##`, and the lines below.
fn entries(text: &str) -> Vec<(&str, &str)> {
    text.split("\n## ").skip(1).map(|entry| entry.split_once('\n').unwrap_or((entry, ""))).collect()
}

/// Whether a heading starts with a date: `2026-11-20: `.
fn has_date(heading: &str) -> bool {
    let Some((date, title)) = heading.split_once(": ") else { return false };
    let parts: Vec<_> = date.split('-').map(|p| (p.len(), p.parse::<u32>().unwrap_or(0))).collect();
    matches!(parts[..], [(4, 2026..), (2, 1..=12), (2, 1..=31)]) && !title.trim().is_empty()
}

/// What is wrong with the entries.
fn wrong_entries(text: &str) -> Vec<String> {
    let entries = entries(text);
    let mut wrong = Vec::new();
    for (heading, body) in &entries {
        if !has_date(heading) {
            wrong.push(format!("`## {heading}` must begin with a date, such as `## 2026-11-20: `"));
        }
        for part in ["Who: ", "Do: "] {
            if !body.lines().any(|line| line.strip_prefix(part).is_some_and(|rest| !rest.trim().is_empty())) {
                wrong.push(format!("`## {heading}` lacks a line that begins with `{part}`"));
            }
        }
    }
    // Dates of this form are in the order of their letters.
    let dated: Vec<_> = entries.iter().map(|(heading, _)| *heading).filter(|heading| has_date(heading)).collect();
    for pair in dated.windows(2).filter(|pair| pair[0][..10] < pair[1][..10]) {
        wrong.push(format!("`## {}` is newer than the entry above it: newest first", pair[1]));
    }
    wrong
}

#[test]
fn links_lead_somewhere() {
    let of = |document: PathBuf| {
        let links = links(&read(&document));
        links.into_iter().filter_map(move |link| wrong_link(&document, &link)).collect::<Vec<_>>()
    };
    let wrong: Vec<_> = documents().flat_map(of).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn wrong_links_are_found() {
    let from = Path::new("docs/tour.md");
    for link in ["nowhere.md", "../../out.md", "/absolute.md", "#no-such-heading", "../README.md#no-such"] {
        assert!(wrong_link(from, link).is_some(), "{link}");
    }
    for link in ["tour.md", "./../docs/tour.md", "../README.md", "https://example.org/x.md"] {
        assert_eq!(wrong_link(from, link), None);
    }
    assert_eq!(links("[a](b.md) ![c](d.png) `[no](link.md)`\n\n[e]\n\n[e]: f.md"), ["b.md", "d.png", "f.md"]);
    assert!(anchors("# D1: One *target*, `stable`").contains("d1-one-target-stable"));
}

#[test]
fn the_book_has_all_its_pages() {
    let summary = Path::new(BOOK).join("SUMMARY.md");
    let linked: BTreeSet<_> = links(&read(&summary)).iter().filter_map(|l| resolve(Path::new(BOOK), l)).collect();
    let pages: BTreeSet<_> = documents().filter(|d| d.starts_with(BOOK) && *d != summary).collect();
    assert_eq!(linked, pages, "the pages that SUMMARY.md links to, and those that there are");
}

#[test]
fn the_tests_that_are_named_are_there() {
    let pages = ["tests.md", "tests-kernel.md", "tests-vm.md", "tests-services.md", "tests-pm.md"]
        .map(|page| read(&Path::new(BOOK).join(page)));
    let tests: Vec<_> =
        pages.iter().flat_map(|page| codes(page)).filter(|code| code != "FILE::NAME" && code.contains(".rs")).collect();
    assert!(tests.len() > 50, "only {} tests are named", tests.len());
    let wrong: Vec<_> = tests.iter().filter_map(|test| wrong_test(test)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tests_that_are_not_there_are_found() {
    let here = "tests/house/tests/documents.rs";
    assert_eq!(wrong_test(here), None);
    assert_eq!(wrong_test(&format!("{here}::tests_that_are_not_there_are_found")), None);
    assert!(wrong_test("tests/house/tests/files.rs::nothing_of_this_name").is_some());
    assert!(wrong_test("tests/house/tests/nowhere.rs").is_some());
    assert_eq!(codes("`a` b\n\n| x | `c` |\n|---|---|\n| `d::e` | f |"), ["a", "c", "d::e"]);
}

#[test]
fn updating_can_be_acted_upon() {
    let text = read(Path::new("UPDATING.md"));
    assert!(!entries(&text).is_empty(), "UPDATING.md has no entries: they begin with `## `");
    let wrong = wrong_entries(&text);
    assert!(wrong.is_empty(), "UPDATING.md:\n{}", wrong.join("\n"));
}

#[test]
fn bad_entries_are_found() {
    let good = "# T\n\n## 2026-11-21: b\nWho: all.\nDo: run it.\n\n## 2026-11-20: a\nWho: all.\nDo: nothing.\n";
    assert_eq!(wrong_entries(good), [""; 0]);
    for (from, to) in [
        ("2026-11-21: b", "b"),
        ("2026-11-21: b", "2026-11-21"),
        ("2026-11-21: b", "2026-13-21: b"),
        ("2026-11-21: b", "21-11-2026: b"),
        ("2026-11-21: b", "2026-11-19: b"),
        ("Who: all.\nDo: run it.", "Do: run it."),
        ("Do: run it.", "Do: "),
        ("Do: run it.", "do it"),
    ] {
        assert_eq!(wrong_entries(&good.replace(from, to)).len(), 1, "{to} for {from}");
    }
}

#[test]
fn every_version_has_its_entry() {
    let text = read(Path::new("UPDATING.md"));
    let abi = (1..=abi::ABI_VERSION).map(|n| format!("ABI {n}"));
    let boot_table = (1..=abi::boot::TABLE_FORMAT).map(|n| format!("boot table format {n}"));
    let policy = (1..=abi::policy::POLICY_FORMAT).map(|n| format!("policy format {n}"));
    for version in abi.chain(boot_table).chain(policy) {
        let has_entry = entries(&text)
            .iter()
            .any(|(heading, _)| heading.split(": ").any(|part| part.split(", ").any(|p| p == version)));
        assert!(has_entry, "UPDATING.md has no entry with `{version}` in its heading");
    }
}
