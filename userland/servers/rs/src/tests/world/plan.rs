//! The policies and boot tables that the tests play with.

use super::super::*;
use abi::boot::BootEntry;
use abi::policy::{NOBODY, PolicyHeader, ServiceFlags, ServicePolicy, ServiceSet, contains};
use std::borrow::ToOwned;
use std::boxed::Box;
use std::vec::Vec;

/// A system before it boots.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) policy: Vec<ServicePolicy>,
    /// The programs of the boot table and what it says of each, in its order.
    pub(crate) boot: Vec<(&'static str, BootFlags)>,
    /// Files behind them, besides the policy.
    pub(crate) files: Vec<&'static str>,
    /// What of the boot table is changed after it was made of the policy.
    pub(crate) forged: Option<fn(&mut [BootPolicy])>,
}

/// The one that may control all that can be controlled.
pub(crate) const BOSS: &str = "boss";

impl Plan {
    /// One of everything. Controlled by `boss`:
    ///
    /// | | |
    /// |---|---|
    /// | `ds` | the data store, begins at boot; its program is kept |
    /// | `echo` | begins at boot; its program is not kept |
    /// | `hello`, `hello-2` | two versions of one; may send to `limited` and to others of their kind |
    /// | `limited` | restarted twice, after 4 periods at most |
    /// | `phoenix` | has a new endpoint when it is restarted |
    /// | `beat` | pinged every second period |
    /// | `mute` | does not ask how to begin |
    /// | `once` | never restarted |
    /// | `heart` | the system cannot go on without it; restarted once |
    pub(crate) fn village() -> Self {
        let mut plan = Self {
            policy: Vec::new(),
            boot: [
                ("vm", BootFlags::PAGER),
                ("rs", BootFlags::ROOT),
                ("pm", BootFlags::SERVED),
                ("ds", BootFlags::SERVED | BootFlags::KEPT),
                (BOSS, BootFlags::SERVED),
                ("echo", BootFlags::SERVED),
                ("user", BootFlags::SERVED),
            ]
            .to_vec(),
            files: ["hello", "hello-2", "limited", "phoenix", "beat", "mute", "once", "heart"].to_vec(),
            forged: None,
        };
        let core = ServiceFlags::CORE | ServiceFlags::SYNCHRONOUS | ServiceFlags::NO_RESTART;
        plan.add("rs", ServiceFlags::ROOT | ServiceFlags::CORE | ServiceFlags::NO_RESTART);
        plan.add("vm", ServiceFlags::PAGER | core);
        plan.add("pm", core);
        plan.add("ds", ServiceFlags::SYNCHRONOUS | ServiceFlags::KEPT);
        plan.add(BOSS, ServiceFlags::NO_RESTART);
        plan.add("echo", ServiceFlags::empty());
        plan.add("user", ServiceFlags::USER | ServiceFlags::NO_RESTART);
        for kept in ["hello", "hello-2", "limited", "phoenix", "beat", "mute"] {
            plan.add(kept, ServiceFlags::KEPT);
        }
        plan.add("once", ServiceFlags::NO_RESTART);
        plan.add("heart", ServiceFlags::KEPT | ServiceFlags::CORE);
        plan.sends("pm", &["vm"]);
        for kind in ["hello", "hello-2"] {
            plan.sends(kind, &["limited", "hello", "hello-2"]);
        }
        plan.sends("phoenix", &["phoenix"]);
        plan.entry("mute").sends = [0; _];
        plan.entry("user").manager = plan.place("pm");
        plan.entry("limited").restarts = 2;
        plan.entry("limited").backoff = 4;
        plan.entry("heart").restarts = 1;
        plan.entry("phoenix").flags |= ServiceFlags::REINCARNATE.bits();
        plan.entry("beat").heartbeat = 1500;
        plan.entry("beat").cpu = 5;
        let controlled =
            plan.set(&["ds", "echo", "hello", "hello-2", "limited", "phoenix", "beat", "mute", "once", "heart"]);
        plan.entry(BOSS).control = controlled;
        plan
    }

    fn add(&mut self, name: &str, flags: ServiceFlags) {
        let place = self.policy.len() as u64;
        let mut entry = ServicePolicy::nothing(name_of(name).0);
        (entry.flags, entry.calls, entry.memory) = (flags.bits(), 1 << place, 2 << place);
        entry.uid = if flags.contains(ServiceFlags::ROOT) { 0 } else { 1 };
        (entry.traps, entry.quantum, entry.backoff) = (TrapMask::SENDREC.bits(), 50, 30);
        (entry.manager, entry.backup, entry.scheduler) = (NOBODY, NOBODY, NOBODY);
        if !flags.intersects(ServiceFlags::USER | ServiceFlags::ROOT) {
            entry.sends = self.set(&["rs"]);
        }
        self.policy.push(entry);
    }

    pub(crate) fn place(&self, name: &str) -> u16 {
        let at = self.policy.iter().position(|entry| entry.name == name_of(name).0);
        at.unwrap_or_else(|| panic!("no policy for {name}")) as u16
    }

    pub(crate) fn entry(&mut self, name: &str) -> &mut ServicePolicy {
        let place = self.place(name);
        &mut self.policy[usize::from(place)]
    }

    /// One more service, with the policy of another one.
    pub(crate) fn like(&mut self, one: &str, another: &str) {
        let entry = ServicePolicy { name: name_of(another).0, ..*self.entry(one) };
        self.policy.push(entry);
    }

    pub(crate) fn set(&self, names: &[&str]) -> ServiceSet {
        let places = names.iter().map(|name| usize::from(self.place(name)));
        places.fold([0; _], |mut set, place| {
            set[place / 64] |= 1 << (place % 64);
            set
        })
    }

    /// A service may send to more others.
    pub(crate) fn sends(&mut self, from: &str, to: &[&str]) {
        let more = self.set(to);
        let entry = self.entry(from);
        entry.sends.iter_mut().zip(more).for_each(|(word, bits)| *word |= bits);
    }

    /// The programs of the boot table and the files behind them, as the kernel tells of them.
    pub(crate) fn table(&self) -> Vec<(Name, BootPolicy)> {
        let places = |sends: &ServiceSet| {
            let allowed =
                self.boot.iter().enumerate().filter(|(_, (name, _))| contains(sends, self.place(name).into()));
            allowed.fold(0, |mask, (place, _)| mask | 1 << place)
        };
        let programs = self.boot.iter().enumerate().map(|(place, (name, flags))| {
            let entry = &self.policy[usize::from(self.place(name))];
            let boot = BootPolicy {
                sends: places(&entry.sends),
                calls: entry.calls,
                traps: entry.traps,
                priority: entry.priority.into(),
                flags: flags.bits(),
                cpu: entry.cpu.into(),
                endpoint: endpoint(place),
                memory: entry.memory,
            };
            (name_of(name), boot)
        });
        let file = BootPolicy {
            sends: 0,
            calls: 0,
            traps: 0,
            priority: 0,
            flags: BootFlags::FILE.bits(),
            cpu: 0,
            endpoint: Endpoint::NONE,
            memory: 0,
        };
        let files = [abi::policy::POLICY_FILE].into_iter().chain(self.files.iter().copied());
        let (names, mut table): (Vec<_>, Vec<_>) = programs.chain(files.map(|name| (name_of(name), file))).unzip();
        if let Some(forge) = self.forged {
            forge(&mut table);
        }
        names.into_iter().zip(table).collect()
    }

    /// The file at a place.
    pub(crate) fn file(&self, place: u64) -> &'static [u8] {
        match (place as usize).checked_sub(self.boot.len()) {
            None => self.boot[place as usize].0.as_bytes(),
            Some(0) => self.policy_file(),
            Some(at) => self.files[at - 1].as_bytes(),
        }
    }

    /// Files stay as long as the system: this one as long as the tests.
    fn policy_file(&self) -> &'static [u8] {
        let bytes = [PolicyHeader::of(&self.policy).as_bytes(), self.policy.as_bytes()].concat();
        let words = bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("8 bytes")));
        Box::leak(words.collect::<Vec<_>>().into_boxed_slice()).as_bytes()
    }
}

/// A name as it stands in messages.
pub(crate) fn name_of(text: &str) -> Name {
    Name(BootEntry::encode_name(text).unwrap_or_else(|| panic!("{} is no name", text.to_owned())))
}
