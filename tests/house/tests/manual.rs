//! The manual of the kernel calls, `docs/kernel-calls.md`: made from the declarations in `include/protocol`, and compared with them.
//!
//! What a call does, takes and gives comes from the tables that `protocol!` makes. What is said of a group as a whole, and the numbers
//! that the texts name, are read from the source files.

use house::root;
use protocol::kernel::{GROUPS, PROTOCOL};
use protocol::{CallInfo, FieldInfo, Protocol};
use std::collections::BTreeSet;
use std::fmt::Write;

const MANUAL: &str = "docs/kernel-calls.md";
const REGENERATE: &str = "UPDATE_MANUAL=1 cargo test -p house --test manual";

const HEAD: &str = "\
# The kernel calls

A kernel call is a trap ([The binary interface](abi.md#traps)) whose kind is the sum of its protocol's base and its number; the
arguments are the payload, the fields one after the other, and the answer comes the same way. Who may make it says the call mask of
the caller's privileges: it has a bit for each call of `kernel`, and one for each other group.
";

/// A protocol of kernel calls: those of a group have one bit of the call mask together.
struct Chapter {
    protocol: Protocol,
    right: Option<u16>,
}

fn chapters() -> Vec<Chapter> {
    let groups = GROUPS.iter().map(|group| Chapter { protocol: group.protocol, right: Some(group.number) });
    std::iter::once(Chapter { protocol: PROTOCOL, right: None }).chain(groups).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn source(protocol: &Protocol) -> String {
    read(&format!("include/protocol/src/{}.rs", protocol.name))
}

/// A documentation comment as running text: in one line, and without the brackets of rustdoc's links.
fn prose(doc: &str) -> String {
    let line = doc.split_whitespace().collect::<Vec<_>>().join(" ");
    line.replace("[`", "`").replace("`]", "`").replace('|', "\\|")
}

/// What a source file says of itself, paragraph by paragraph.
fn preface(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let text = lines.map(str::trim).collect::<Vec<_>>().join("\n");
    text.split("\n\n").map(prose).collect::<Vec<_>>().join("\n\n")
}

/// The public numbers of a source file, with what is said of them.
fn numbers(source: &str) -> Vec<[String; 3]> {
    let mut doc = String::new();
    let mut found = Vec::new();
    for line in source.lines() {
        if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
            continue;
        }
        let constant = line.strip_prefix("pub const ").and_then(|rest| rest.strip_suffix(';'));
        let parts = constant.and_then(|rest| Some((rest.split_once(':')?.0, rest.split_once(" = ")?.1)));
        if let Some((name, value)) = parts.filter(|(name, _)| !name.contains(' ')) {
            found.push([name.to_owned(), value.to_owned(), prose(&doc)]);
        }
        doc.clear();
    }
    found
}

/// The names of errors in a text, but of those that others get.
fn errors_in(doc: &str) -> BTreeSet<&str> {
    const OF_OTHERS: &[&str] = &["gets ", "that call fails with "];
    let parts: Vec<_> = doc.split('`').collect();
    let is_error = |word: &str| abi::Errno::ALL.iter().any(|errno| errno.code() == word);
    let own = |pair: &[&str]| !OF_OTHERS.iter().any(|before| pair[0].ends_with(before)) && is_error(pair[1]);
    parts.chunks_exact(2).filter(|pair| own(pair)).map(|pair| pair[1]).collect()
}

/// All errors of a call that its text names, and those of the calls that it refers to for them.
fn errors(calls: &[CallInfo], at: usize) -> BTreeSet<&'static str> {
    let doc = calls[at].doc;
    let mut all = errors_in(doc);
    if doc.trim_start().starts_with("The same") && at != 0 {
        all.extend(errors(calls, at - 1));
    }
    let line = doc.split_whitespace().collect::<Vec<_>>().join(" ");
    let referred = |call: &CallInfo| {
        ["as of", "as for"].iter().any(|word| line.contains(&format!("{word} [`{}`]", call.request_type)))
    };
    let others = (0..calls.len()).filter(|other| *other != at && referred(&calls[*other]));
    others.for_each(|other| all.extend(errors(calls, other)));
    all
}

/// Fields for a cell of a table.
fn fields(fields: &[FieldInfo]) -> String {
    let field = |field: &FieldInfo| {
        let name = format!("`{}: {}`", field.name, field.field_type);
        let doc = prose(field.doc);
        if doc.is_empty() { format!("<br>{name}") } else { format!("<br>{name}: {}", doc.trim_end_matches('.')) }
    };
    fields.iter().map(field).collect()
}

fn chapter(text: &mut String, Chapter { protocol, right }: &Chapter) {
    let source = source(protocol);
    writeln!(text, "\n## {}\n\n{}\n", protocol.name, preface(&source)).unwrap();
    match right {
        None => writeln!(text, "Base `{:#x}`. The right to a call is the bit with its number.\n", protocol.base),
        Some(bit) => writeln!(text, "Base `{:#x}`. The right to all of them is bit {bit}.\n", protocol.base),
    }
    .unwrap();
    writeln!(text, "| | call | takes | gives | | errors |\n|---|---|---|---|---|---|").unwrap();
    for (at, call) in protocol.calls.iter().enumerate() {
        let (_, name) = call.name.split_once('.').expect("a name has the protocol's before it");
        let errors: Vec<_> = errors(protocol.calls, at).into_iter().map(|error| format!("`{error}`")).collect();
        let CallInfo { number, request_type, reply_type, .. } = call;
        let (request, reply) = (fields(call.request_fields), fields(call.reply_fields));
        writeln!(
            text,
            "| {number} | `{name}` | `{request_type}`{request} | `{reply_type}`{reply} | {} | {} |",
            prose(call.doc),
            errors.join(" ")
        )
        .unwrap();
    }
    let numbers = numbers(&source);
    if !numbers.is_empty() {
        writeln!(text, "\n| number | | |\n|---|---|---|").unwrap();
        numbers.iter().for_each(|[name, value, doc]| writeln!(text, "| `{name}` | `{value}` | {doc} |").unwrap());
    }
}

/// The types of fields, as the snapshot of the calls lists them.
fn types(text: &mut String) {
    writeln!(text, "\n## Types of fields\n\nThe values of an enum of 32 bits, and the fields of a struct.\n").unwrap();
    writeln!(text, "| type | |\n|---|---|").unwrap();
    let snapshot = read("include/protocol/calls.txt");
    let lines: Vec<_> = snapshot.lines().collect();
    for pair in lines.windows(2) {
        if let Some(name) = pair[0].strip_prefix("enum ").or_else(|| pair[0].strip_prefix("struct ")) {
            writeln!(text, "| `{name}` | {} |", pair[1].trim()).unwrap();
        }
    }
}

fn manual() -> String {
    let mut text = format!("<!-- Made from include/protocol: {REGENERATE} -->\n\n{HEAD}");
    chapters().iter().for_each(|part| chapter(&mut text, part));
    types(&mut text);
    text
}

#[test]
fn the_manual_is_that_of_the_declarations() {
    let new = manual();
    if std::env::var_os("UPDATE_MANUAL").is_some() {
        std::fs::write(root().join(MANUAL), &new).expect("the manual can be written");
    }
    let old = std::fs::read_to_string(root().join(MANUAL)).unwrap_or_default();
    let changed: Vec<_> = new.lines().filter(|line| !old.lines().any(|l| l == *line)).collect();
    assert!(
        old == new,
        "{MANUAL} is no longer what the declarations in include/protocol say; run\n    {REGENERATE}\nNew lines:\n{}",
        changed.join("\n")
    );
}

#[test]
fn every_call_stands_in_it_with_all_that_it_takes() {
    let text = manual();
    for Chapter { protocol, .. } in chapters() {
        for call in protocol.calls {
            assert!(!call.doc.is_empty(), "{} is not described", call.name);
            let (doc, request) = (prose(call.doc), format!("`{}`", call.request_type));
            let row = text.lines().find(|line| line.contains(&request) && line.contains(&doc));
            let row = row.unwrap_or_else(|| panic!("{} is missing", call.name));
            for field in call.request_fields.iter().chain(call.reply_fields) {
                assert!(row.contains(&format!("`{}: {}`", field.name, field.field_type)), "{}: {row}", field.name);
            }
        }
    }
}

#[test]
fn errors_are_found_where_a_call_refers_to_another() {
    const fn call(request_type: &'static str, doc: &'static str) -> CallInfo {
        let (fields, name): (&[FieldInfo], _) = (&[], "x.y");
        CallInfo {
            number: 1,
            name,
            request: "",
            reply: "",
            request_type,
            request_fields: fields,
            reply_type: "",
            reply_fields: fields,
            request_len: 0,
            reply_len: 0,
            doc,
        }
    }
    let calls = [
        call("A", " Does it. `EPERM` unless one may,\n `EINVAL` for `EVERYTHING` else."),
        call("B", " The same for another."),
        call("C", " Errors\n as of [`A`], and `EBUSY`."),
        call("D", " As [`A`] in nothing. Whoever waits gets `EDEADSRCDST`; then that call fails with `EFAULT`."),
    ];
    let found = |at| errors(&calls, at).into_iter().collect::<Vec<_>>();
    assert_eq!((found(0), found(1)), (vec!["EINVAL", "EPERM"], vec!["EINVAL", "EPERM"]));
    assert_eq!((found(2), found(3)), (vec!["EBUSY", "EINVAL", "EPERM"], vec![]));
}
