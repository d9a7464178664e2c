//! The help.

/// How each command is written, by its name. What it does stands in [`HELP`].
pub(crate) const USAGES: [(&str, &str); 9] = [
    ("up", "service up PROGRAM [-label LABEL] [-args \"WORD...\"] [-period MS]"),
    ("down", "service down LABEL"),
    ("refresh", "service refresh LABEL"),
    ("restart", "service restart LABEL"),
    ("update", "service update LABEL PROGRAM [-state N] [-maxtime MS]"),
    ("edit", "service edit LABEL -period MS"),
    ("list", "service list"),
    ("shutdown", "service shutdown"),
    ("help", "service help"),
];

/// All lines of the help.
pub const HELP: &[&str] = &[
    "service COMMAND ...: has the root system process do something about services",
    "  up PROGRAM [-label LABEL] [-args \"WORD...\"] [-period MS]",
    "      starts PROGRAM, which the boot set and the policy have, and waits until it has begun",
    "      -label LABEL  what it is called: 1 to 15 of a-z 0-9 - _; else as its program",
    "      -args TEXT    its arguments, with spaces between them: at most 256 bytes",
    "      -period MS    how long it may leave a ping unanswered; 0 for no pings; else as its policy says",
    "  down LABEL     ends it, in peace if it does so within two seconds",
    "  refresh LABEL  ends it and starts it again",
    "  restart LABEL  starts it now, when it is dead: it waits, its recovery script decides, or it was given up",
    "  update LABEL PROGRAM [-state N] [-maxtime MS]",
    "      replaces it by PROGRAM, which takes over its state; if that fails, the old version goes on",
    "      -state N      in which state it is to be replaced: 1 while it waits for work (if nothing is said),",
    "                    2 with no request half done, 3 with no exchange of messages half done, 7 and more are its own",
    "      -maxtime MS   how long it may take to get there: 1 to 3600000; else two seconds",
    "  edit LABEL -period MS",
    "                 sets how long it may leave a ping unanswered: 0 to 3600000, 0 for no pings",
    "  list           shows all services",
    "  shutdown       ends all services; what dies then stays dead",
    "  help, --help   shows this",
    "Who may: root, and services whose policy names the others under `control`. The exit status is 0 or the error's number.",
];

/// How a command is written.
pub(crate) fn usage(command: &str) -> Option<&'static str> {
    USAGES.iter().find(|(name, _)| *name == command).map(|(_, usage)| *usage)
}
