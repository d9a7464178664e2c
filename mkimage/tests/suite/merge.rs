//! Policies that were changed locally, merged with newer ones.

use mkimage::migrate::merge::{Input, Merged, merge};
use std::path::Path;

const BASE: &str = "# Shipped.\n\nclass c { cpu 1; };\n\n# A.\nservice a { priority 3; };\n\nservice b { class c; };\n";

#[track_caller]
fn merged(local: &str, newer: &str) -> Merged {
    let input = |name: &'static str, text| Input { path: Path::new(name), text };
    merge(input("base", BASE), input("local", local), input("newer", newer)).unwrap_or_else(|e| panic!("{e}"))
}

fn quiet(text: &str) -> Merged {
    Merged { text: text.to_owned(), ..Merged::default() }
}

#[test]
fn what_nobody_has_changed_stays() {
    assert_eq!(merged(BASE, BASE), quiet(BASE));
}

#[test]
fn what_is_new_comes_in_at_its_place() {
    let newer =
        BASE.replace("\nservice b", "\n# N.\nservice n { irq 3; };\n\nservice b").replace("priority 3", "priority 4");
    let merged = merged(BASE, &newer);
    assert_eq!((merged.text, merged.taken), (newer, vec!["a".to_owned(), "n".to_owned()]));
}

#[test]
fn what_was_changed_here_is_kept() {
    let local = BASE.replace("# A.\n", "# Ours.\n").replace("priority 3", "priority 5");
    let newer = BASE.replace("class c;", "class c; irq 4;").replace("Shipped", "Newer");
    let merged = merged(&local, &newer);
    let wanted = local.replace("class c;", "class c; irq 4;").replace("Shipped", "Newer");
    assert_eq!((&*merged.text, merged.taken, merged.kept), (&*wanted, vec!["b".to_owned()], vec!["a".to_owned()]));
}

#[test]
fn what_was_added_or_removed_here_stays_so() {
    let local = BASE.replace("\n# A.\nservice a { priority 3; };\n", "") + "\n# Mine.\nservice mine { };\n";
    let merged = merged(&local, BASE);
    assert!(!merged.text.contains("service a"), "{}", merged.text);
    assert!(merged.text.ends_with("service b { class c; };\n\n# Mine.\nservice mine { };\n"), "{}", merged.text);
    assert_eq!(merged.kept, ["a", "mine"]);
}

#[test]
fn what_the_newer_file_has_no_more_goes_if_nobody_changed_it() {
    let newer = BASE.replace("\nservice b { class c; };\n", "");
    let merged = merged(BASE, &newer);
    assert_eq!((&*merged.text, &*merged.removed), (&*newer, &["b".to_owned()][..]));
}

#[test]
fn space_and_comments_are_no_change_of_the_newer_file() {
    let local = BASE.replace("priority 3", "priority 5");
    let newer = BASE.replace("{ priority 3; }", "{\n    # Why.\n    priority 3;\n}");
    let merged = merged(&local, &newer);
    assert!(merged.conflicts.is_empty() && merged.text.contains("priority 5"), "{merged:#?}");
}

#[test]
fn the_same_change_on_both_sides_is_none() {
    let local = BASE.replace("priority 3", "priority 5");
    assert_eq!(merged(&local, &local), quiet(&local));
}

#[test]
fn different_changes_are_conflicts_with_both_texts() {
    let local = BASE.replace("priority 3", "priority 5");
    let newer = BASE.replace("priority 3", "priority 6");
    let merged = merged(&local, &newer);
    let [conflict] = &merged.conflicts[..] else { panic!("{merged:#?}") };
    assert_eq!(
        (&*conflict.name, &*conflict.local, &*conflict.newer),
        ("a", "# A.\nservice a { priority 5; };", "# A.\nservice a { priority 6; };")
    );
    let marked =
        "<<<<<<< local\n# A.\nservice a { priority 5; };\n=======\n# A.\nservice a { priority 6; };\n>>>>>>> newer\n";
    assert!(merged.text.contains(marked), "{}", merged.text);
    let faults = libconf::Config::parse(&merged.text).unwrap_err();
    assert!(faults[0].to_string().starts_with("5:1: a merge left a conflict here"), "{faults:#?}");
}

#[test]
fn a_change_against_a_removal_is_a_conflict() {
    let changed = BASE.replace("class c;", "class c; irq 4;");
    let removed = BASE.replace("\nservice b { class c; };\n", "");
    let there = merged(&changed, &removed);
    assert_eq!((there.conflicts.len(), &*there.conflicts[0].newer), (1, ""), "{there:#?}");
    let gone = merged(&removed, &changed);
    assert_eq!((gone.conflicts.len(), &*gone.conflicts[0].local), (1, ""), "{gone:#?}");
}

#[test]
fn different_blocks_of_one_name_on_both_sides_are_a_conflict() {
    let conflicts =
        merged(&format!("{BASE}service n {{ irq 3; }};\n"), &format!("{BASE}service n {{ irq 4; }};\n")).conflicts;
    assert_eq!(conflicts.len(), 1, "{conflicts:#?}");
}

#[test]
fn each_file_must_consist_of_blocks() {
    let input = |name: &'static str, text| Input { path: Path::new(name), text };
    let error = merge(input("base", BASE), input("local", "service a {"), input("newer", BASE)).unwrap_err();
    assert!(error.to_string().starts_with("local:1:1: the block `a` does not end"), "{error}");
    let error = merge(input("base", BASE), input("local", BASE), input("newer", "x")).unwrap_err();
    assert!(error.to_string().starts_with("newer:1:1: "), "{error}");
}
