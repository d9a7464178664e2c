extern crate std;
use super::*;
use abi::boot::BootEntry;
use abi::{Endpoint, Errno, Kind, Message};
use core::fmt;
use protocol::Call;
use protocol::kernel::MAX_DIAG;
use protocol::rs::*;
use std::collections::VecDeque;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

fn name(text: &str) -> [u8; 16] {
    BootEntry::encode_name(text).expect("a name")
}

fn read<'a>(words: &[&'a str]) -> Result<Command<'a>, Mistake<'a>> {
    Command::read(words.iter().map(|word| word.as_bytes()))
}

#[test]
fn good_command_lines() {
    let up = Command::Up { program: name("hello"), label: [0; 16], arguments: "", period: None };
    assert_eq!(read(&["up", "hello"]), Ok(up));
    let all = ["up", "-args", "a -b c", "-period", "500", "hello", "-label", "h-1"];
    let up = Command::Up { program: name("hello"), label: name("h-1"), arguments: "a -b c", period: Some(500) };
    assert_eq!(read(&all), Ok(up));
    assert_eq!(read(&["down", "hello"]), Ok(Command::Down(name("hello"))));
    assert_eq!(read(&["refresh", "x"]), Ok(Command::Refresh(name("x"))));
    assert_eq!(read(&["restart", "fifteen-letters"]), Ok(Command::Restart(name("fifteen-letters"))));
    let update = Command::Update { label: name("a"), program: name("b"), state: 1, patience: 0 };
    assert_eq!(read(&["update", "a", "b"]), Ok(update));
    let update = Command::Update { label: name("a"), program: name("b"), state: u32::MAX, patience: 3_600_000 };
    assert_eq!(read(&["update", "a", "b", "-state", "4294967295", "-maxtime", "3600000"]), Ok(update));
    assert_eq!(read(&["edit", "a", "-period", "0"]), Ok(Command::Edit { label: name("a"), period: 0 }));
    assert_eq!(read(&["list"]), Ok(Command::List));
    assert_eq!(read(&["shutdown"]), Ok(Command::Shutdown));
    for help in [&["help"][..], &["--help"], &["-h"], &["help", "me", "-now"]] {
        assert_eq!(read(help), Ok(Command::Help));
    }
}

/// Command lines that are wrong: the error, and what its line says.
const WRONG: &[(&[&str], Errno, &str)] = &[
    (&[], Errno::Inval, "a command is missing: write up, down, refresh, restart, update, edit, list, shutdown or help"),
    (&[""], Errno::NoSys, "there is no command ``: write up,"),
    (&["Up", "hello"], Errno::NoSys, "there is no command `Up`"),
    (&["-label", "x"], Errno::NoSys, "there is no command `-label`"),
    (&["\u{1b}[2J"], Errno::NoSys, "there is no command `\\x1b[2J`"),
    (&["a very long word that goes on and on"], Errno::NoSys, "no command `a very long word that go...`"),
    (&["up"], Errno::Inval, "`up` needs the name of a program"),
    (&["up", "-label", "x"], Errno::Inval, "`up` needs the name of a program"),
    (&["up", "hello", "again"], Errno::Inval, "`up` has no use for `again`: leave it out, or quote"),
    (&["up", "hello", "-labels", "x"], Errno::Inval, "`up` has no option `-labels`"),
    (&["up", "hello", "--label", "x"], Errno::Inval, "`up` has no option `--label`"),
    (&["up", "hello", "-"], Errno::Inval, "`up` has no option `-`"),
    (&["up", "hello", "-state", "1"], Errno::Inval, "`up` has no option `-state`"),
    (&["up", "hello", "-label"], Errno::Inval, "`-label` needs a value behind it"),
    (&["up", "-label", "a", "hello", "-label", "b"], Errno::Inval, "`-label` is there twice"),
    (&["up", "hello", "-label", ""], Errno::Inval, "`` is no name of a service: it has 1 to 15"),
    (&["up", "hello", "-label", "sixteen-letters-"], Errno::Inval, "`sixteen-letters-` is no name of a service"),
    (&["up", "hello", "-label", "Big"], Errno::Inval, "`Big` is no name of a service"),
    (&["up", "/sbin/hello"], Errno::Inval, "`/sbin/hello` is no name of a program"),
    (&["up", "hell\u{f6}"], Errno::Inval, "`hell\\xc3\\xb6` is no name of a program"),
    (&["up", "hello", "-period", "-1"], Errno::Inval, "`-1` is no number for `-period`: write 0 to 3600000"),
    (&["up", "hello", "-period", "+1"], Errno::Inval, "`+1` is no number"),
    (&["up", "hello", "-period", ""], Errno::Inval, "`` is no number"),
    (&["up", "hello", "-period", "3600001"], Errno::Inval, "`3600001` is no number"),
    (&["up", "hello", "-period", "99999999999999999999"], Errno::Inval, "`99999999999999999999` is no number"),
    (&["up", "hello", "-period", "5s"], Errno::Inval, "`5s` is no number"),
    (&["down"], Errno::Inval, "`down` needs the label of a service"),
    (&["down", "a", "b"], Errno::Inval, "`down` has no use for `b`"),
    (&["down", "a", "-force", "1"], Errno::Inval, "`down` has no option `-force`"),
    (&["down", "A"], Errno::Inval, "`A` is no name of a service"),
    (&["refresh"], Errno::Inval, "`refresh` needs the label"),
    (&["restart", "-label", "a"], Errno::Inval, "`restart` has no option `-label`"),
    (&["update", "a"], Errno::Inval, "`update` needs the name of its new program"),
    (&["update", "a", "b", "c"], Errno::Inval, "`update` has no use for `c`"),
    (&["update", "a", "b", "-state", "0"], Errno::Inval, "`0` is no number for `-state`: write 1 to 4294967295"),
    (&["update", "a", "b", "-maxtime", "0"], Errno::Inval, "`0` is no number for `-maxtime`: write 1 to 3600000"),
    (&["edit", "a"], Errno::Inval, "`edit` needs what is to be changed, such as `-period MS`"),
    (&["edit", "-period", "1"], Errno::Inval, "`edit` needs the label"),
    (&["list", "all"], Errno::Inval, "`list` has no use for `all`"),
    (&["shutdown", "-now"], Errno::Inval, "`shutdown` has no option `-now`"),
];

#[test]
fn wrong_command_lines_are_refused_with_what_to_do() {
    for (words, errno, said) in WRONG {
        let mistake = read(words).expect_err("accepted");
        assert_eq!(mistake.errno(), *errno, "{words:?}");
        let text = mistake.to_string();
        assert!(text.contains(said), "{words:?}: {text}, not {said}");
        assert!(text.len() <= MAX_DIAG && !text.contains(char::is_control), "{text:?}");
    }
    let long = "x".repeat(MAX_ARGUMENTS as usize + 1);
    let mistake = read(&["up", "hello", "-args", &long]).expect_err("accepted");
    assert_eq!((mistake, mistake.errno()), (Mistake::TooLong(257), Errno::TooBig));
    assert!(read(&["up", "hello", "-args", &long[1..]]).is_ok());
    let bytes: [&[u8]; 4] = [b"up", b"hello", b"-args", b"\xff"];
    assert_eq!(Command::read(bytes.into_iter()), Err(Mistake::NoText));
    let bytes: [&[u8]; 2] = [b"down", b"\xff\0"];
    assert!(matches!(Command::read(bytes.into_iter()), Err(Mistake::Name { .. })));
}

#[test]
fn whatever_words_there_are_the_answer_is_a_line() {
    let words =
        ["up", "down", "update", "edit", "list", "-label", "-period", "-args", "-state", "1", "a", "", "-", "\u{7}"];
    let mut seed = 1_u64;
    for _ in 0..20_000 {
        let mut next = |most: usize| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (seed >> 33) as usize % most
        };
        let line: Vec<&str> = (0..next(7)).map(|_| words[next(words.len())]).collect();
        if let Err(mistake) = read(&line) {
            let text = mistake.to_string();
            assert!(text.len() <= MAX_DIAG && !text.contains(char::is_control), "{line:?}: {text:?}");
        }
    }
}

#[test]
fn the_help_tells_of_every_command_and_option_and_fits_the_log() {
    let all = HELP.concat();
    for (command, usage) in help::USAGES {
        assert!(all.contains(command), "{command}");
        assert!(usage.starts_with(&format!("service {command}")), "{usage}");
        let options = usage.split(['[', ']', ' ']).filter(|word| word.starts_with('-'));
        options.for_each(|option| assert!(all.contains(option), "{option}"));
    }
    HELP.iter().for_each(|line| assert!(line.len() <= MAX_DIAG && line.is_ascii(), "{line}"));
}

/// A system with these services, which notes what it is asked for and fails as it is told.
#[derive(Default)]
struct Fake {
    services: VecDeque<Option<ServiceInfo>>,
    fails: Option<(Kind, Errno)>,
    pages: Option<u64>,
    asked: Vec<Message>,
    arguments: Vec<String>,
    printed: Vec<String>,
}

impl Fake {
    fn answer(&mut self, message: &Message) -> Message {
        if let Some((_, errno)) = self.fails.filter(|(kind, _)| *kind == message.kind) {
            return protocol::reply::<u64>(message, Err(errno));
        }
        if message.kind == GetService::KIND {
            let slot = protocol::decode::<GetService>(message).expect("a request").slot;
            let found = self.services.get(slot as usize).ok_or(Errno::Dom);
            let found = found.and_then(|service| service.ok_or(Errno::Srch));
            return protocol::reply(message, found.as_ref().map_err(|errno| *errno));
        }
        self.asked.push(*message);
        match message.kind {
            Up::KIND => protocol::reply(message, Ok(&UpDone { endpoint: Endpoint::SELF })),
            Refresh::KIND => protocol::reply(message, Ok(&Refreshed { endpoint: Endpoint::SELF })),
            Restart::KIND => protocol::reply(message, Ok(&Restarted { endpoint: Endpoint::SELF })),
            _ => protocol::reply(message, Ok(&DownDone {})),
        }
    }
}

impl System for Fake {
    fn ask<C: Call>(&mut self, call: &C) -> Result<C::Reply, Errno> {
        struct Wire<'a>(&'a mut Fake);
        impl protocol::Transport for Wire<'_> {
            fn sendrec(&mut self, _: Endpoint, message: &mut Message) -> Result<(), Errno> {
                *message = self.0.answer(message);
                Ok(())
            }
        }
        protocol::call(&mut Wire(self), Endpoint::NONE, call)
    }

    fn up(&mut self, call: Up, arguments: &str) -> Result<UpDone, Errno> {
        self.arguments.push(arguments.into());
        self.ask(&call)
    }

    fn pages(&mut self, _: Endpoint) -> Result<u64, Errno> {
        self.pages.ok_or(Errno::Perm)
    }

    fn print(&mut self, line: fmt::Arguments<'_>) {
        self.printed.push(line.to_string());
    }
}

fn ran(system: &mut Fake, words: &[&str]) -> u64 {
    run(system, words.iter().map(|word| word.as_bytes()))
}

#[test]
fn each_command_is_one_request_and_silent() {
    let mut system = Fake::default();
    let mut asks = |words: &[&str], wanted: Message| {
        assert_eq!(ran(&mut system, words), 0);
        let asked = core::mem::take(&mut system.asked);
        assert_eq!(asked.iter().map(|m| (m.kind, m.body)).collect::<Vec<_>>(), [(wanted.kind, wanted.body)]);
        assert!(system.printed.is_empty(), "{:?}", system.printed);
    };
    let (label, program) = (name("a"), name("b"));
    let arguments = abi::grant::GrantId::INVALID;
    let up = Up { program, label: [0; 16], arguments, len: 0 };
    asks(&["up", "b"], protocol::encode(Up::KIND, &up));
    asks(&["up", "b", "-label", "a", "-args", "x y"], protocol::encode(Up::KIND, &Up { label, ..up }));
    asks(&["down", "a"], protocol::encode(Down::KIND, &Down { label }));
    asks(&["refresh", "a"], protocol::encode(Refresh::KIND, &Refresh { label }));
    asks(&["restart", "a"], protocol::encode(Restart::KIND, &Restart { label }));
    asks(&["edit", "a", "-period", "9"], protocol::encode(Edit::KIND, &Edit { label, heartbeat: 9 }));
    asks(&["shutdown"], protocol::encode(Shutdown::KIND, &Shutdown {}));
    let update = Update { label, program, state: 2, patience: 7 };
    asks(&["update", "a", "b", "-state", "2", "-maxtime", "7"], protocol::encode(Update::KIND, &update));
    assert_eq!(system.arguments, ["x y"]);
    assert_eq!(ran(&mut system, &["up", "b", "-period", "5"]), 0);
    let kinds: Vec<_> = system.asked.iter().map(|message| message.kind).collect();
    assert_eq!(kinds, [Up::KIND, Edit::KIND], "the period is set when it has begun");
}

#[test]
fn errors_are_told_with_what_to_do_and_are_the_exit_status() {
    for (words, kind, errno, said) in [
        (
            &["up", "x"][..],
            Up::KIND,
            Errno::NoEnt,
            "cannot start x: the boot set or the policy has no such program (ENOENT)",
        ),
        (&["up", "x"], Up::KIND, Errno::Busy, "cannot start x: a service or another program is called so"),
        (&["up", "x"], Up::KIND, Errno::Perm, "cannot start x: the policy of whoever asks does not name it"),
        (&["up", "x", "-period", "1"], Edit::KIND, Errno::Srch, "cannot set the period of x: there is no such service"),
        (&["down", "x"], Down::KIND, Errno::Srch, "cannot end x: there is no such service: `list` shows all (ESRCH)"),
        (&["restart", "x"], Restart::KIND, Errno::Busy, "it runs, or begins: `refresh` ends it"),
        (&["refresh", "x"], Refresh::KIND, Errno::NoEnt, "its program is not kept: write `copy` in its policy"),
        (&["update", "x", "y"], Update::KIND, Errno::TimedOut, "more time is given by `-maxtime`"),
        (
            &["edit", "x", "-period", "1"],
            Edit::KIND,
            Errno::Io,
            "cannot set the period of x: the log may say more (EIO)",
        ),
        (&["shutdown"], Shutdown::KIND, Errno::Perm, "cannot end all services: the policy of whoever asks"),
        (&["list"], GetService::KIND, Errno::DeadSrcDst, "cannot list all services: it has died"),
    ] {
        let mut system = Fake { fails: Some((kind, errno)), ..Fake::default() };
        assert_eq!(ran(&mut system, words), errno as u64);
        assert_eq!(system.printed.len(), 1);
        assert!(system.printed[0].contains(said), "{}, not {said}", system.printed[0]);
    }
    for errno in Errno::ALL {
        for (words, kind) in
            [(&["update", "fifteen-letters", "x"][..], Update::KIND), (&["up", "fifteen-letters"], Up::KIND)]
        {
            let mut system = Fake { fails: Some((kind, *errno)), ..Fake::default() };
            assert_eq!(ran(&mut system, words), *errno as u64);
            assert!(system.printed[0].len() <= MAX_DIAG, "{}", system.printed[0]);
        }
    }
    let mut system = Fake::default();
    assert_eq!(ran(&mut system, &["edit", "x"]), Errno::Inval as u64);
    assert_eq!(system.printed[1], "usage: service edit LABEL -period MS");
    assert_eq!(ran(&mut system, &["frob"]), Errno::NoSys as u64);
    assert!(system.asked.is_empty());
    assert_eq!(ran(&mut system, &["--help"]), 0);
    assert_eq!(system.printed[4..], *HELP);
}

fn service(label: &str, endpoint: u32, state: State, reason: Reason) -> ServiceInfo {
    let (label, program) = (name(label), name("program"));
    let endpoint = Endpoint::from_raw(endpoint);
    ServiceInfo {
        label,
        program,
        endpoint,
        pid: endpoint.raw() % 9999,
        state,
        restarts: endpoint.raw(),
        reason,
        backoff: 0,
    }
}

#[test]
fn the_table_has_a_line_for_each_service() {
    let services = [
        Some(service("ds", 3, State::Active, Reason::None)),
        None,
        Some(service("fifteen-letters", 4_194_303, State::Recovering, Reason::NoHeartbeat)),
        Some(service("hello", 5, State::GivenUp, Reason::Crash)),
    ];
    let mut system = Fake { services: services.into(), pages: Some(17), ..Fake::default() };
    assert_eq!(ran(&mut system, &["list"]), 0);
    let [head, ds, long, hello] = &system.printed[..] else { panic!("{:?}", system.printed) };
    assert_eq!(head, "LABEL           ENDPOINT      PID STATE      RESTARTS LAST            PAGES");
    assert_eq!(ds, "ds              3               3 active            3 -                  17");
    assert!(long.starts_with("fifteen-letters 32767.127    4722 recovering  4194303 no-heartbeat"), "{long}");
    assert_eq!(hello, "hello           5               5 given-up          5 crash              17");
    system.printed.clear();
    system.pages = None;
    assert_eq!(ran(&mut system, &["list"]), 0);
    assert_eq!(system.printed[0], "LABEL           ENDPOINT      PID STATE      RESTARTS LAST");
    assert_eq!(system.printed[1], "ds              3               3 active            3 -");
}

#[test]
fn as_many_services_as_there_can_be() {
    let one = service("a", 1, State::Waiting, Reason::Request);
    let most = protocol::sef::TABLE_LEN;
    let mut system = Fake { services: std::vec![Some(one); most].into(), ..Fake::default() };
    assert_eq!(ran(&mut system, &["list"]), 0);
    assert_eq!(system.printed.len(), 1 + most);
    assert!(system.printed.iter().all(|line| line.len() <= MAX_DIAG));
}
