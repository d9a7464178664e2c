//! The machine to boot, and the QEMU command line that is the same machine. Pure.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Error;
use crate::firmware::Uefi;

/// I/O port of the `isa-debug-exit` device, through which the guest ends QEMU.
const DEBUG_EXIT: &str = "isa-debug-exit,iobase=0xf4,iosize=0x04";
/// What QEMU writes to its own log: processor resets (a triple fault is named there) and why it shut down.
const LOG_ITEMS: &str = "cpu_reset,trace:qemu_system_shutdown_request";
/// Where QEMU waits for gdb, on this machine only.
const GDB_SERVER: &str = "tcp:localhost:1234";
const DEFAULT_MEMORY_MIB: u32 = 128;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
const DEFAULT_SERIAL_LIMIT: usize = 16 << 20;

/// What the machine boots with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS, which comes with QEMU.
    Bios,
    /// OVMF, from the Debian package `ovmf`.
    Uefi,
}

/// The processor that the guest sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// Everything that QEMU can do: SMEP, SMAP, UMIP, XSAVE and more.
    Max,
    /// QEMU's plain default, which has none of these.
    Plain,
}

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// QEMU's translator.
    Tcg,
    /// The translator, with the guest's time advancing by one for each instruction: repeatable. Several processors take
    /// turns that last millions of instructions: a store of one comes late to another.
    CountedTcg,
    /// The host's processor. A triple fault cannot be told from a reset there.
    Kvm,
}

/// Where the guest's screen is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// Nowhere. The guest has a screen all the same, see [`crate::screenshot`].
    None,
    /// In a window.
    Window,
}

/// How the image is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Medium {
    Cdrom,
    Disk,
}

/// A machine with an image to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    image: PathBuf,
    medium: Medium,
    firmware: Firmware,
    cpus: u32,
    memory_mib: u32,
    cpu: Cpu,
    accelerator: Accelerator,
    display: Display,
    waits_for_gdb: bool,
    timeout: Option<Duration>,
    serial_limit: usize,
    plugin: Option<Plugin>,
}

/// A plugin of QEMU's that writes one file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plugin {
    library: PathBuf,
    argument: &'static str,
}

/// Files that exist for one run only.
#[derive(Debug)]
pub(crate) struct RunFiles {
    /// QEMU's log of resets.
    pub(crate) reset_log: PathBuf,
    /// The monitor's socket.
    pub(crate) monitor: PathBuf,
    /// What a plugin writes.
    pub(crate) watched: PathBuf,
    /// The firmware, if the machine boots with UEFI.
    pub(crate) uefi: Option<Uefi>,
}

impl Machine {
    /// A machine that boots the ISO image `iso` from a CD-ROM: BIOS, one processor with all that QEMU has, 128 MiB, no
    /// window, and two minutes to get to the end.
    pub fn new(iso: impl Into<PathBuf>) -> Self {
        Self::with_image(iso.into(), Medium::Cdrom)
    }

    /// The same machine with the raw disk image `disk` as its hard disk. What the guest writes is thrown away.
    pub fn disk(disk: impl Into<PathBuf>) -> Self {
        Self::with_image(disk.into(), Medium::Disk)
    }

    fn with_image(image: PathBuf, medium: Medium) -> Self {
        Self {
            image,
            medium,
            firmware: Firmware::Bios,
            cpus: 1,
            memory_mib: DEFAULT_MEMORY_MIB,
            cpu: Cpu::Max,
            accelerator: Accelerator::Tcg,
            display: Display::None,
            waits_for_gdb: false,
            timeout: Some(DEFAULT_TIMEOUT),
            serial_limit: DEFAULT_SERIAL_LIMIT,
            plugin: None,
        }
    }

    /// Boots with this firmware.
    pub fn firmware(mut self, firmware: Firmware) -> Self {
        self.firmware = firmware;
        self
    }

    /// Has so many processors.
    pub fn smp(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// Has so much memory.
    pub fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.memory_mib = memory_mib;
        self
    }

    /// Has this kind of processor.
    pub fn cpu(mut self, cpu: Cpu) -> Self {
        self.cpu = cpu;
        self
    }

    /// Is executed so.
    pub fn accelerator(mut self, accelerator: Accelerator) -> Self {
        self.accelerator = accelerator;
        self
    }

    /// Shows its screen there.
    pub fn display(mut self, display: Display) -> Self {
        self.display = display;
        self
    }

    /// Waits before the first instruction until gdb, connected to port 1234 of this machine, lets it go on.
    pub fn wait_for_gdb(mut self) -> Self {
        self.waits_for_gdb = true;
        self
    }

    /// Has so much time, from the start of QEMU.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Has all the time that it wants.
    pub fn no_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }

    /// May write so many bytes to its serial port; one more is a failure. A session at the terminal has no limit.
    pub fn serial_limit(mut self, bytes: usize) -> Self {
        self.serial_limit = bytes;
        self
    }

    /// Is watched by the QEMU plugin `library`, which is told by `ARGUMENT=FILE` where to write: see
    /// [`Run::watched`](crate::Run::watched).
    pub fn watched_by(mut self, library: impl Into<PathBuf>, argument: &'static str) -> Self {
        self.plugin = Some(Plugin { library: library.into(), argument });
        self
    }

    /// The image that it boots.
    pub fn image(&self) -> &Path {
        &self.image
    }

    pub(crate) fn time_limit(&self) -> Option<Duration> {
        self.timeout
    }

    pub(crate) fn serial_limit_bytes(&self) -> usize {
        self.serial_limit
    }

    pub(crate) fn boots_with(&self) -> Firmware {
        self.firmware
    }

    /// Tells settings that QEMU would refuse, or that would make a run mean something else than it says.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`].
    pub(crate) fn check(&self) -> Result<(), Error> {
        let problem = if self.cpus == 0 {
            "it has no processor".to_owned()
        } else if self.memory_mib == 0 {
            "it has no memory".to_owned()
        } else if self.accelerator == Accelerator::Kvm && self.plugin.is_some() {
            "what the host's processor executes cannot be watched".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::Settings(problem))
    }

    /// QEMU's arguments for this machine.
    pub(crate) fn arguments(&self, files: &RunFiles) -> Vec<OsString> {
        let mut arguments = Arguments::default();
        // Only what is named here: no network card to boot from, no floppy, no second serial port.
        arguments.add("-nodefaults").pair("-vga", "std").pair("-serial", "stdio").pair("-device", DEBUG_EXIT);
        arguments.add("-no-reboot").pair("-d", LOG_ITEMS).pair("-D", &files.reset_log);
        arguments.file("-chardev", "socket,id=monitor,server=on,wait=off,path=", &files.monitor);
        arguments.pair("-mon", "chardev=monitor,mode=control");
        self.processor_arguments(&mut arguments);
        if let Some(uefi) = &files.uefi {
            arguments.file("-drive", "if=pflash,unit=0,format=raw,readonly=on,file=", &uefi.code);
            arguments.file("-drive", "if=pflash,unit=1,format=raw,file=", &uefi.variables);
        }
        match self.medium {
            Medium::Cdrom => arguments.file("-drive", "if=ide,media=cdrom,format=raw,readonly=on,file=", &self.image),
            Medium::Disk => arguments.file("-drive", "if=ide,format=raw,snapshot=on,file=", &self.image),
        };
        if let Some(Plugin { library, argument }) = &self.plugin {
            let output = format!(",{argument}=");
            arguments.files("-plugin", &[("file=", library), (&output, &files.watched)]);
        }
        if self.display == Display::None {
            arguments.pair("-display", "none");
        }
        if self.waits_for_gdb {
            arguments.pair("-gdb", GDB_SERVER).add("-S");
        }
        arguments.0
    }

    fn processor_arguments(&self, arguments: &mut Arguments) {
        arguments.pair("-smp", self.cpus.to_string()).pair("-m", format!("{}M", self.memory_mib));
        if self.cpu == Cpu::Max {
            arguments.pair("-cpu", "max");
        }
        match self.accelerator {
            Accelerator::Tcg => arguments.pair("-accel", "tcg"),
            Accelerator::CountedTcg => arguments.pair("-accel", "tcg").pair("-icount", "shift=0,sleep=off"),
            Accelerator::Kvm => arguments.pair("-accel", "kvm"),
        };
    }
}

/// A command line under construction.
#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn add(&mut self, argument: impl Into<OsString>) -> &mut Self {
        self.0.push(argument.into());
        self
    }

    fn pair(&mut self, option: &str, value: impl Into<OsString>) -> &mut Self {
        self.add(option).add(value)
    }

    /// An option whose value ends with a file name.
    fn file(&mut self, option: &str, value: &str, file: &Path) -> &mut Self {
        self.files(option, &[(value, file)])
    }

    /// An option whose value has several file names, each behind a text. QEMU takes a comma for the end of a name unless
    /// it is doubled.
    fn files(&mut self, option: &str, parts: &[(&str, &Path)]) -> &mut Self {
        let mut bytes = Vec::new();
        for (text, file) in parts {
            bytes.extend_from_slice(text.as_bytes());
            for &byte in file.as_os_str().as_bytes() {
                bytes.push(byte);
                if byte == b',' {
                    bytes.push(byte);
                }
            }
        }
        self.pair(option, OsString::from_vec(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(machine: &Machine, uefi: Option<Uefi>) -> String {
        let files = RunFiles {
            reset_log: "/run/resets".into(),
            monitor: "/run/monitor".into(),
            watched: "/run/watched".into(),
            uefi,
        };
        let words: Vec<String> =
            machine.arguments(&files).into_iter().map(|word| word.into_string().unwrap()).collect();
        words.join(" ")
    }

    #[track_caller]
    fn has(line: &str, part: &str) {
        assert!(format!(" {line} ").contains(&format!(" {part} ")), "`{part}` is not in `{line}`");
    }

    #[test]
    fn every_run_can_be_judged() {
        let line = line(&Machine::new("/a.iso"), None);
        has(&line, "-serial stdio");
        has(&line, "-device isa-debug-exit,iobase=0xf4,iosize=0x04");
        has(&line, "-no-reboot");
        has(&line, "-d cpu_reset,trace:qemu_system_shutdown_request -D /run/resets");
        has(&line, "-chardev socket,id=monitor,server=on,wait=off,path=/run/monitor");
        has(&line, "-drive if=ide,media=cdrom,format=raw,readonly=on,file=/a.iso");
    }

    #[test]
    fn the_default_is_translated_and_has_all_of_the_processor() {
        let line = line(&Machine::new("/a.iso"), None);
        has(&line, "-smp 1 -m 128M -cpu max -accel tcg");
        has(&line, "-display none");
        assert!(!line.contains("pflash") && !line.contains("-gdb") && !line.contains("-icount"), "{line}");
    }

    #[test]
    fn settings_reach_the_command_line() {
        let machine = Machine::disk("/a.img").smp(4).memory_mib(6144).cpu(Cpu::Plain).accelerator(Accelerator::Kvm);
        let line = line(&machine.display(Display::Window).wait_for_gdb(), None);
        has(&line, "-smp 4 -m 6144M -accel kvm");
        has(&line, "-drive if=ide,format=raw,snapshot=on,file=/a.img");
        has(&line, "-gdb tcp:localhost:1234 -S");
        assert!(!line.contains("-cpu") && !line.contains("-display"), "{line}");
    }

    #[test]
    fn counting_instructions_is_an_option_of_the_translator() {
        let line = line(&Machine::new("/a.iso").accelerator(Accelerator::CountedTcg), None);
        has(&line, "-accel tcg -icount shift=0,sleep=off");
    }

    #[test]
    fn uefi_has_firmware_to_read_and_variables_to_write() {
        let uefi = Uefi { code: "/ovmf/code".into(), variables: "/run/variables".into() };
        let line = line(&Machine::new("/a.iso").firmware(Firmware::Uefi), Some(uefi));
        has(&line, "-drive if=pflash,unit=0,format=raw,readonly=on,file=/ovmf/code");
        has(&line, "-drive if=pflash,unit=1,format=raw,file=/run/variables");
    }

    #[test]
    fn a_plugin_is_told_where_to_write() {
        let machine = Machine::new("/a.iso").watched_by("/b,c.so", "events");
        has(&line(&machine, None), "-plugin file=/b,,c.so,events=/run/watched");
    }

    #[test]
    fn a_comma_in_a_file_name_stays_in_it() {
        has(&line(&Machine::new("/a,b.iso"), None), "-drive if=ide,media=cdrom,format=raw,readonly=on,file=/a,,b.iso");
    }

    #[test]
    fn impossible_machines_are_refused_by_name() {
        let refusal = |machine: Machine| machine.check().unwrap_err().to_string();
        assert!(refusal(Machine::new("a").smp(0)).contains("no processor"));
        assert!(refusal(Machine::new("a").memory_mib(0)).contains("no memory"));
        let watched = Machine::new("a").watched_by("/b.so", "events");
        watched.check().unwrap();
        assert!(refusal(watched.accelerator(Accelerator::Kvm)).contains("cannot be watched"));
    }
}
