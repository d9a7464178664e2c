//! The command `service` as somebody sees it who types command lines.

use crate::run;
use crate::support::{bios, made};
use qemu::Goal;

/// What is typed first, and what appears then, up to the next line that is typed.
fn answers(log: &str) -> Vec<(&str, Vec<&str>)> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in log.lines() {
        if let Some(typed) = line.strip_prefix("operator: $ ") {
            all.push((typed, Vec::new()));
        } else if let Some((_, answer)) = all.last_mut()
            && (line.starts_with("service: ") || line.starts_with("selix: service exited"))
        {
            answer.push(line.trim_start_matches("service: ").trim_start_matches("selix: "));
        }
    }
    all
}

/// What is typed, the beginnings of what appears, and the exit status. Of the last ones of `list` and `--help` only the first lines stand here.
const WANTED: &[(&str, &[&str], u32)] = &[
    ("service up assist -label first -args \"one two\"", &[], 0),
    (
        "service up assist -label first",
        &["cannot start assist: a service or another program is called so: give it another label by `-label` (EBUSY)"],
        16,
    ),
    ("service up assist-crash", &["cannot start assist-crash: it has died: the log says of what (EDEADSRCDST)"], 200),
    ("service refresh first", &[], 0),
    (
        "service restart first",
        &["cannot restart first: it runs, or begins: `refresh` ends it and starts it again (EBUSY)"],
        16,
    ),
    (
        "service update first nothing",
        &["cannot update first: the boot set has no such program, or does not keep it (ENOENT)"],
        2,
    ),
    ("service edit first -period 0", &[], 0),
    (
        "service list",
        &[
            "LABEL           ENDPOINT      PID STATE      RESTARTS LAST            PAGES",
            "vm ",
            "pm ",
            "ds ",
            "operator ",
            "service ",
            "first ",
        ],
        0,
    ),
    ("service down first", &[], 0),
    ("service down first", &["cannot end first: there is no such service: `list` shows all (ESRCH)"], 3),
    (
        "service down ds",
        &["cannot end ds: the policy of whoever asks does not name it under `control`, or the system"],
        1,
    ),
    ("service down rs", &["cannot end rs: the policy"], 1),
    ("service up nothing", &["cannot start nothing: the boot set or the policy has no such program (ENOENT)"], 2),
    ("service up", &["`up` needs the name of a program", "usage: service up PROGRAM [-label LABEL]"], 22),
    (
        "service edit first -period never",
        &["`never` is no number for `-period`: write 0 to 3600000", "see `service help`"],
        22,
    ),
    (
        "service frobnicate",
        &["there is no command `frobnicate`: write up, down, refresh, restart, update,", "see `service help`"],
        38,
    ),
    ("service shutdown", &["cannot end all services: the policy of whoever asks"], 1),
    (
        "service --help",
        &["service COMMAND ...: has the root system process do something about services", "  up PROGRAM"],
        0,
    ),
];

#[test]
fn it_does_what_is_typed_and_says_what_is_wrong() {
    let image = made("userland/tests/services/command.toml").expect("the image is built");
    let run = run("command", &bios(&image.iso), &Goal::Line("operator: all is typed".into()));
    let serial = &run.evidence.serial;
    assert!(run.verdict.passed(), "{}\n{serial}", run.verdict);
    assert!(!serial.contains("service may not"), "its policy lacks something:\n{serial}");
    let answers = answers(serial);
    assert_eq!(answers.len(), WANTED.len(), "{serial}");
    for ((typed, answer), (wanted, lines, status)) in answers.iter().zip(WANTED) {
        assert_eq!(typed, wanted);
        let (exit, said) = answer.split_last().expect("it ends");
        assert_eq!(*exit, format!("service exited, status {status}"), "{typed}: {answer:#?}");
        assert!(lines.iter().zip(said).all(|(line, said)| said.starts_with(line)), "{typed}: {answer:#?}");
        assert!(said.len() == lines.len() || said.len() > lines.len() && !lines.is_empty(), "{typed}: {answer:#?}");
    }
    let (_, list) = answers.iter().find(|(typed, _)| typed.ends_with("list")).expect("it is typed");
    let first = list.iter().find(|line| line.starts_with("first ")).expect("it is listed");
    let cells: Vec<&str> = first.split_whitespace().collect();
    let ["first", _, _, "active", "1", "request", pages] = cells[..] else { panic!("{first}") };
    assert!(pages.parse::<u64>().is_ok_and(|pages| pages > 0), "{first}");
}
