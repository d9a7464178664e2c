//! The meaning of a manifest: names, and what they refer to.

use super::{Fault, KERNEL_NAME, MAX_CMDLINE, MAX_IMAGE_NAME, Manifest, Position, Program, Source};
use super::{is_cmdline, is_image_name, raw};
use abi::boot::{BootEntry, KERNEL_LOG_NAME, MAX_PROGRAMS, NAME_LEN, TABLE_MODULE};
use abi::policy::POLICY_FILE;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;

/// Checks everything, so that all faults are shown at once.
pub(super) fn check(raw: raw::Manifest, text: &str, path: &Path) -> Result<Manifest, Vec<Fault>> {
    let mut checker = Checker { text, faults: Vec::new() };
    checker.image_name(&raw.name);
    let cmdline = raw.cmdline.map_or(String::new(), |c| checker.cmdline(&c));
    let policy_at = checker.policy(&raw.policy);
    let kernel = checker.source(&raw.kernel.package, raw.kernel.bin.as_ref());
    checker.program_names(&raw.program);
    let services = checker.services(raw.services.as_ref(), &raw.program);
    let programs = raw.program.get_ref().iter().map(|p| checker.program(p)).collect();
    let programs_at = checker.at(raw.program.span());
    if checker.faults.is_empty() {
        Ok(Manifest {
            path: path.into(),
            name: raw.name.into_inner(),
            cmdline,
            policy: raw.policy.into_inner(),
            policy_at,
            services,
            kernel,
            programs,
            programs_at,
        })
    } else {
        Err(checker.faults)
    }
}

struct Checker<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    fn at(&self, span: Range<usize>) -> Position {
        Position::of(self.text, span.start)
    }

    fn fault(&mut self, span: Range<usize>, message: String) {
        let at = self.at(span);
        self.faults.push(Fault { at, message });
    }

    fn image_name(&mut self, name: &Spanned<String>) {
        if !is_image_name(name.get_ref()) {
            let rule = format!("1 to {MAX_IMAGE_NAME} of a-z 0-9 - _");
            self.fault(name.span(), format!("{:?} is no name of an image: it has {rule}", name.get_ref()));
        }
    }

    /// The command line with one blank between two words.
    fn cmdline(&mut self, line: &Spanned<String>) -> String {
        let normal = line.get_ref().split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        if !is_cmdline(&normal) {
            let rule = format!("at most {MAX_CMDLINE} printable ASCII characters, without quotes and backslashes");
            self.fault(line.span(), format!("the kernel command line has {rule}"));
        }
        normal
    }

    fn policy(&mut self, file: &Spanned<String>) -> Position {
        if file.get_ref().is_empty() || file.get_ref().contains(char::is_control) {
            let message = "name the file with the policy, relative to this one: such as \"system.conf\"";
            self.fault(file.span(), message.to_owned());
        }
        self.at(file.span())
    }

    fn source(&mut self, package: &Spanned<String>, bin: Option<&Spanned<String>>) -> Source {
        for name in std::iter::once(package).chain(bin) {
            let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if name.get_ref().is_empty() || !name.get_ref().bytes().all(valid) {
                self.fault(name.span(), format!("{:?} is no name of a package or binary of cargo", name.get_ref()));
            }
        }
        Source {
            package: package.get_ref().clone(),
            bin: bin.unwrap_or(package).get_ref().clone(),
            at: self.at(package.span()),
        }
    }

    fn program_names(&mut self, programs: &Spanned<Vec<raw::Program>>) {
        let count = programs.get_ref().len();
        if count == 0 || count > MAX_PROGRAMS {
            self.fault(programs.span(), format!("an image has 1 to {MAX_PROGRAMS} programs, not {count}"));
        }
        let mut names: Vec<&String> = Vec::new();
        for name in programs.get_ref().iter().map(|p| &p.name) {
            let text = name.get_ref();
            if BootEntry::encode_name(text).is_none() {
                let rule = format!("1 to {} of a-z 0-9 - _", NAME_LEN - 1);
                self.fault(name.span(), format!("{text:?} is no name of a program: it has {rule}"));
            } else if [TABLE_MODULE, KERNEL_NAME, POLICY_FILE].contains(&&**text) {
                self.fault(
                    name.span(),
                    format!("`{text}` is the name of another boot file: call the program otherwise"),
                );
            } else if text == KERNEL_LOG_NAME {
                self.fault(
                    name.span(),
                    format!("`{text}` stands before the kernel's lines in the log: call the program otherwise"),
                );
            } else if names.contains(&text) {
                self.fault(name.span(), format!("there is a program `{text}` before this one: names must differ"));
            }
            names.push(text);
        }
    }

    /// Whether there are services. For them one program loads the others, one at most; and what does not boot is for them.
    fn services(&mut self, key: Option<&Spanned<bool>>, programs: &Spanned<Vec<raw::Program>>) -> bool {
        let all = programs.get_ref();
        let loaders: Vec<_> = all.iter().filter_map(|p| p.loads.as_ref()).filter(|loads| *loads.get_ref()).collect();
        for loads in loaders.iter().skip(1) {
            self.fault(loads.span(), "a program before this one loads the others: there is one at most".to_owned());
        }
        let has_loader = !loaders.is_empty();
        if let Some(key) = key.filter(|key| *key.get_ref() && !has_loader) {
            let message = "services need a memory server: this image has no program with `loads = true`";
            self.fault(key.span(), message.to_owned());
        }
        let services = has_loader && key.is_none_or(|key| *key.get_ref());
        for boot in all.iter().filter_map(|p| p.boot.as_ref()).filter(|boot| !*boot.get_ref() && !services) {
            let message = if has_loader {
                "what is not started at boot is for services: this image has `services = false`"
            } else {
                "what is not started at boot is kept by the memory server: this image has no program with `loads = true`"
            };
            self.fault(boot.span(), message.to_owned());
        }
        services
    }

    fn program(&mut self, raw: &raw::Program) -> Program {
        let is_set = |key: &Option<Spanned<bool>>, default| key.as_ref().map_or(default, |key| *key.get_ref());
        Program {
            name: raw.name.get_ref().clone(),
            at: self.at(raw.name.span()),
            source: self.source(&raw.package, raw.bin.as_ref()),
            boots: is_set(&raw.boot, true),
            loads: is_set(&raw.loads, false),
        }
    }
}
