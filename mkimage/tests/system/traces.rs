//! The kernel tells of each message when it is asked to.

use crate::support::bios;
use crate::{DEBUG_EXIT, changed, run};
use mkimage::image::Image;
use qemu::Goal;

/// Programs besides the root system process.
const OTHERS: usize = 7;
/// How often `ping` calls `echo`.
const CALLS: usize = 1000;
/// What is said of the end of `ping`.
const END: &str = "init: ping exited, status 0";
const TRACE: &str = "selix: trace: ";

/// The lines of the tracer in a run of the shipped image.
fn traces(name: &str, smp: u32, change: impl FnOnce(&mut Image)) -> Vec<String> {
    let disk = changed(change);
    let run = run(name, &bios(&disk.iso).smp(smp), &Goal::Line(END.into()));
    assert!(run.verdict.passed(), "{}\n{}", run.verdict, run.evidence.serial);
    let lines = run.evidence.serial.lines().filter_map(|line| line.trim_end().strip_prefix(TRACE));
    lines.map(str::to_owned).collect()
}

/// Checks the lines of `ping`'s run, which are the same whatever the machine.
fn assert_conversation(lines: &[String]) {
    let of = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!(of("ping -> echo: SendRec echo.reverse, tag "), CALLS, "{lines:#?}");
    assert_eq!(of("ping -> echo: SendRec echo.count, tag "), 1);
    assert_eq!(of("echo -> ping: ReplyReceive reply, tag "), CALLS + 1);
    assert!(of("ping -> kernel: KernelCall kernel.boot_entry, tag ") > 0);
    assert_eq!(of("ping -> kernel: KernelCall kernel.diag_write, tag "), 1);
    // The root system process lets all run, and the process manager clears up after `ping`.
    for call in ["set_sys", "allow"] {
        assert_eq!(of(&format!("rs -> kernel: KernelCall privctl.{call}, tag ")), OTHERS, "{call}");
    }
    // Services ask how to begin.
    for service in ["ds", "hello"] {
        for call in ["init_info", "init_done"] {
            assert_eq!(of(&format!("{service} -> rs: SendRec rs.{call}, tag ")), 1, "{service} {call}");
        }
    }
    assert_eq!(of("rs -> kernel: KernelCall kernel.clear, tag "), 0);
    assert_eq!(of("pm -> kernel: KernelCall kernel.clear, tag "), 1);

    // Each answer follows its call, and carries its tag.
    let conversation: Vec<_> = lines.iter().filter(|line| line.contains("echo") && line.contains("ping")).collect();
    let tag = |line: &str| line.rsplit_once("tag ").map(|(_, tag)| tag.to_owned());
    for pair in conversation.chunks(2) {
        let [call, answer] = pair else { panic!("{pair:?} has no answer") };
        assert!(call.starts_with("ping -> echo: ") && answer.starts_with("echo -> ping: "), "{pair:?}");
        assert_eq!(tag(call), tag(answer), "{pair:?}");
    }
}

#[test]
fn each_message_is_told_of_with_names() {
    assert_conversation(&traces("trace", 1, |image| image.cmdline = format!("{DEBUG_EXIT} trace=ipc")));
}

#[test]
fn on_several_processors_too() {
    assert_conversation(&traces("trace-smp", 4, |image| {
        image.cmdline = format!("{DEBUG_EXIT} trace=ipc");
    }));
}

#[test]
fn nothing_is_told_without_the_option() {
    assert!(traces("trace-off", 1, |image| image.cmdline = DEBUG_EXIT.to_owned()).is_empty());
}
