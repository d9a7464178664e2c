//! Random sequences of all calls, over several spaces and CPUs: each has the result that the model says, and after each the
//! page tables, the frame table and what CPUs remember are what they must be.

use super::model::{Model, Page};
use super::steps::{Name, Step, step};
use super::walk::{Found, walk};
use super::{P, RAM, Storage, home};
use crate::support::TestMachine;
use abi::Errno;
use abi::layout::USER_END;
use kernel_core::frames::{FrameKind, FrameNumber};
use kernel_core::tables::Rights;
use kernel_core::{CpuId, Spaces};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use protocol::vmctl::{self, Access, Backing, Cache, MapRun};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Steps of a sequence.
const STEPS: usize = 200;

/// How often each kind of step came to each end. A run that never gets to some of them would prove little.
type Tally = RefCell<BTreeMap<(&'static str, String), usize>>;

struct Pair<'t> {
    spaces: Spaces<'t>,
    machine: TestMachine,
    model: Model,
    tally: &'t Tally,
}

impl Pair<'_> {
    fn note<T>(&self, call: &'static str, result: &Result<T, Errno>, partly: bool) {
        let end = match result {
            Ok(_) if partly => "part",
            Ok(_) => "ok",
            Err(errno) => errno.code(),
        };
        *self.tally.borrow_mut().entry((call, end.to_owned())).or_default() += 1;
    }

    /// The name of one of the spaces that live, or 0.
    fn any(&self, index: &Index) -> u64 {
        let names: Vec<_> = self.model.spaces.keys().copied().collect();
        if names.is_empty() { 0 } else { *index.get(&names) }
    }

    fn name(&self, name: &Name) -> u64 {
        match name {
            Name::Live(index) => self.any(index),
            Name::Raw(raw) => *raw,
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Create(root) => self.create(root)?,
            Step::CreateOwn => self.create_own()?,
            Step::Destroy(ref space) => {
                let space = self.name(space);
                // Whoever runs in a space lives in it; the kernel sees to that.
                let result = self.spaces.destroy(&mut self.machine, space);
                self.note("destroy", &result, result == Ok(true));
                prop_assert_eq!(result, self.model.destroy(space));
            }
            Step::Map { ref space, run, may_use } => {
                let call = MapRun { space: self.name(space), ..run };
                let result = self.spaces.map(&mut self.machine, &call, |_| may_use);
                let lacks = result.is_ok_and(|mapped| mapped.lacks > 0);
                let partly = result.is_ok_and(|mapped| mapped.done < run.count);
                self.note(if lacks { "map without tables" } else { "map" }, &result, partly);
                prop_assert_eq!(result, self.model.map(&call, may_use));
            }
            Step::MapNew(ref space, address, access) => self.map_new(self.any(space), address, access)?,
            Step::Unmap(ref space, address, count) => {
                let space = self.name(space);
                let result = self.spaces.unmap(&mut self.machine, space, address, count);
                self.note("unmap", &result, result.is_ok_and(|unmapped| unmapped == 0));
                prop_assert_eq!(result, self.model.unmap(space, address, count));
            }
            Step::Protect(ref space, address, count, access) => {
                let space = self.name(space);
                let result = self.spaces.protect(&mut self.machine, space, address, count, access);
                self.note("protect", &result, result.is_ok_and(|protected| protected == 0));
                prop_assert_eq!(result, self.model.protect(space, address, count, access));
            }
            Step::Query(ref space, address) => self.query(self.name(space), address)?,
            Step::FrameInfo(frame) => self.frame_info(frame)?,
            _ => self.frame_step(step)?,
        }
        Ok(())
    }

    /// The steps that are about frames, CPUs and processes.
    fn frame_step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let number = |frame: u64| FrameNumber::containing(frame);
        match *step {
            Step::Claim(count) => {
                let result = self.spaces.claim(count);
                self.note("claim", &result, result.is_ok_and(|(_, got)| got < count));
                match result {
                    Ok((first, got)) => {
                        prop_assert!((1..=count).contains(&got));
                        let run = first / P..first / P + got;
                        prop_assert!(self.model.take(run, FrameKind::Idle, false), "a frame that was not free");
                    }
                    Err(Errno::NoMem) => prop_assert_eq!(self.spaces.frames().free_count(), 0),
                    Err(errno) => prop_assert_eq!((errno, (1..=512).contains(&count)), (Errno::Inval, false)),
                }
            }
            Step::GiveBack(first, count) => {
                let result = self.spaces.give_back(first, count);
                self.note("give_back", &result, result.is_ok_and(|done| done < count));
                prop_assert_eq!(result, self.model.give_back(first, count));
            }
            Step::Donate(ref space, first, count) => {
                let space = self.name(space);
                let result = self.spaces.donate(&mut self.machine, space, first, count);
                self.note("donate", &result, result.is_ok_and(|done| done < count));
                prop_assert_eq!(result, self.model.donate(space, first, count));
            }
            Step::Release(first, count) => {
                let result = self.spaces.release(first, count);
                self.note("release", &result, result.is_ok_and(|done| done < count));
                prop_assert_eq!(result, self.model.release(first, count));
            }
            Step::Pin(frame) => {
                let result = number(frame).ok_or(Errno::Dom).and_then(|frame| self.spaces.pin(frame));
                self.note("pin", &result, false);
                prop_assert_eq!(result, self.model.pin(frame / P));
            }
            Step::Unpin(frame) => {
                let result = number(frame).ok_or(Errno::Dom).and_then(|frame| self.spaces.unpin(frame));
                self.note("unpin", &result, false);
                prop_assert_eq!(result, self.model.unpin(frame / P));
            }
            Step::UnpinOne(ref index) => {
                let pinned: Vec<_> = RAM.filter(|&frame| self.model.frames[frame as usize].pins > 0).collect();
                if !pinned.is_empty() {
                    self.frame_step(&Step::Unpin(index.get(&pinned) * P))?;
                }
            }
            Step::Bind(ref space) => {
                let space = self.any(space);
                if let Ok(id) = self.spaces.find(space) {
                    prop_assert!(self.spaces.bind(id).is_some_and(|home| home.id() == id));
                    self.model.space(space).expect("it lives").bound += 1;
                }
            }
            Step::Unbind(ref space) => {
                let space = self.any(space);
                if let Some(id) = self.spaces.find(space).ok().filter(|&id| self.spaces.bound(id) > 0) {
                    self.spaces.unbind(&mut self.machine, id);
                    while self.spaces.sweep(&mut self.machine) {}
                    self.model.unbind(space);
                }
            }
            Step::Write(content) => self.write(content),
            Step::Enter(cpu, ref space) => self.enter(cpu, space),
            Step::Idle(cpu) => {
                if self.spaces.idle(CpuId::new(cpu).expect("there are so many")) {
                    self.machine.memory.load(cpu, None);
                }
            }
            Step::On(cpu) => self.machine.memory.cpu = cpu,
            _ => unreachable!("a step about pages"),
        }
        Ok(())
    }

    fn create(&mut self, root: u64) -> Result<(), TestCaseError> {
        let result = self.spaces.create(&mut self.machine, root);
        self.note("create", &result, false);
        let name = *result.as_ref().unwrap_or(&0);
        prop_assert!(!self.model.spaces.contains_key(&name));
        prop_assert_eq!(result.map(|_| ()), self.model.create(name, root));
        Ok(())
    }

    fn create_own(&mut self) -> Result<(), TestCaseError> {
        let Ok(id) = self.spaces.create_own(&mut self.machine) else {
            prop_assert_eq!(self.spaces.frames().free_count(), 0);
            return Ok(());
        };
        let root = self.spaces.root(id).expect("it lives").address() / P;
        prop_assert!(self.model.take(root..root + 1, FrameKind::PageTable, true));
        self.model.frames[root as usize].content = 0;
        let space = super::model::Space { tables: BTreeSet::from([root]), own: true, ..Default::default() };
        prop_assert!(self.model.spaces.insert(self.spaces.name(id), space).is_none());
        Ok(())
    }

    /// The kernel maps a page of its own pool, and takes page tables from there, too.
    fn map_new(&mut self, space: u64, address: u64, access: Access) -> Result<(), TestCaseError> {
        let Ok(id) = self.spaces.find(space) else {
            return Ok(());
        };
        let free = self.spaces.frames().free_count();
        let result = self.spaces.map_new(&mut self.machine, id, address, access);
        self.note("map_new", &result, false);
        let known = self.model.query(space, address);
        // Tables that were found are kept, even if there are too few.
        let new: Vec<_> = (RAM.start..RAM.end)
            .filter(|&frame| self.model.frames[frame as usize].kind == FrameKind::Free)
            .filter(|&frame| self.kind(frame) == FrameKind::PageTable)
            .collect();
        for &table in &new {
            prop_assert!(self.model.take(table..table + 1, FrameKind::PageTable, true));
            self.model.frames[table as usize].content = 0;
        }
        let lacks = if known.is_ok() { self.model.spaces[&space].lacks(address) as usize } else { 0 };
        self.model.space(space).expect("it lives").tables.extend(&new);
        let wanted = match known {
            Err(errno) => Err(errno),
            Ok(_) if free == 0 => Err(Errno::NoMem),
            Ok(Some(_)) => Err(Errno::Exist),
            Ok(None) if free - 1 < lacks => Err(Errno::NoMem),
            Ok(None) => Ok(()),
        };
        prop_assert_eq!(result, wanted);
        if result.is_ok() {
            let frame = self.spaces.query(&self.machine, space, address).expect("it is mapped").frame / P;
            prop_assert!(self.model.take(frame..frame + 1, FrameKind::User, true));
            self.model.frames[frame as usize].content = 0;
            let page = Page { frame, access, cache: Cache::Normal, backing: Backing::Memory };
            self.model.space(space).expect("it lives").pages.insert(address, page);
            prop_assert_eq!(new.len(), lacks);
        }
        Ok(())
    }

    fn query(&mut self, space: u64, address: u64) -> Result<(), TestCaseError> {
        let result = self.spaces.query(&self.machine, space, address);
        self.note("query", &result, result.is_ok_and(|found| found.found == vmctl::Found::Nothing));
        let wanted = self.model.query(space, address);
        prop_assert_eq!(result.map(|_| ()), wanted.map(|_| ()));
        let (Ok(found), Ok(first)) = (result, wanted) else {
            return Ok(());
        };
        let rights = first.map(|page| (page.access, page.cache));
        prop_assert_eq!((found.access, found.cache), rights.unwrap_or((Access::Read, Cache::Normal)));
        prop_assert_eq!(found.frame, first.map_or(0, |page| page.frame * P));
        let pages = &self.model.spaces[&space].pages;
        let end = address + found.count * P;
        prop_assert!(found.count > 0 && end <= USER_END);
        match first {
            None => {
                prop_assert_eq!(found.found, vmctl::Found::Nothing);
                prop_assert_eq!(pages.range(address..end).next(), None);
            }
            Some(first) => {
                let alike = |page: u64| {
                    let wanted = Page { frame: first.frame + (page - address) / P, ..first };
                    pages.get(&page) == Some(&wanted)
                };
                prop_assert!((0..found.count).all(|i| alike(address + i * P)));
                // It ends where the table does, or where something else is, or when it is long enough.
                let must_end = end.is_multiple_of(512 * P) || found.count == 256;
                prop_assert!(must_end || !alike(end), "the run goes on");
            }
        }
        Ok(())
    }

    fn frame_info(&mut self, frame: u64) -> Result<(), TestCaseError> {
        let result = self.spaces.frame_info(frame);
        self.note("frame_info", &result, false);
        let wanted = match self.model.frames.get((frame / P) as usize) {
            _ if !frame.is_multiple_of(P) => Err(Errno::Inval),
            None => Err(Errno::Dom),
            Some(found) => Ok(vmctl::FrameUse {
                kind: found.kind.into(),
                mappings: self.model.mappings(frame / P) as u32,
                pins: found.pins.into(),
                reserved: 0,
            }),
        };
        prop_assert_eq!(result, wanted);
        Ok(())
    }

    /// Whoever may write to a frame does.
    fn write(&mut self, content: u64) {
        for number in RAM {
            let found = &mut self.model.frames[number as usize];
            if [FrameKind::User, FrameKind::Idle].contains(&found.kind) {
                found.content = content.wrapping_add(number) | 1;
                let frame = FrameNumber::containing(number * P).expect("small");
                self.machine.memory.contents.insert(frame, found.content);
            }
        }
    }

    /// Only a process that lives in a space runs in it.
    fn enter(&mut self, cpu: usize, space: &Index) {
        let live = self.spaces.find(self.any(space)).ok().filter(|&id| self.spaces.bound(id) > 0);
        if let Some(home) = live.and_then(|id| home(&mut self.spaces, &mut self.machine, id))
            && let Some(root) = self.spaces.enter(CpuId::new(cpu).expect("there are so many"), home)
        {
            self.machine.memory.load(cpu, Some(root));
        }
    }

    fn kind(&self, frame: u64) -> FrameKind {
        let frame = FrameNumber::containing(frame * P).expect("small");
        self.spaces.frames().kind(frame).expect("the frame table knows it")
    }

    /// Lets every CPU remember all that it may see.
    fn remember(&mut self) {
        for cpu in CpuId::all() {
            if let Some(root) = self.spaces.loaded(cpu) {
                let Found { pages, tables } = walk(&self.machine.memory, root);
                let remembered = &mut self.machine.memory.remembered[cpu.index()];
                (remembered.pages, remembered.tables) = (pages, tables);
            }
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let mut tables = BTreeSet::new();
        for (&name, space) in &self.model.spaces {
            let id = self.spaces.find(name);
            let root = id.ok().and_then(|id| self.spaces.root(id)).expect("it lives in the model");
            let found = walk(&self.machine.memory, root);
            let pages: BTreeMap<u64, _> = found.pages.iter().map(|(&address, page)| (address, seen(page))).collect();
            prop_assert_eq!(&pages, &space.pages, "pages of {:#x}", name);
            for table in found.tables.iter().chain([&root]) {
                let number = table.address() / P;
                prop_assert!(space.tables.contains(&number), "{} is no table of {:#x}", number, name);
                prop_assert!(tables.insert(number), "{number} is used twice as a table");
            }
        }
        prop_assert_eq!(self.spaces.live().count(), self.model.spaces.len());
        self.check_frames()?;
        self.check_cpus()
    }

    fn check_frames(&self) -> Result<(), TestCaseError> {
        for (number, wanted) in self.model.frames.iter().enumerate() {
            let frame = FrameNumber::containing(number as u64 * P).expect("small");
            let info = self.spaces.frames().info(frame).expect("the frame table knows it");
            prop_assert_eq!((info.kind(), info.pins()), (wanted.kind, wanted.pins), "frame {}", number);
            let mappings = self.model.mappings(number as u64);
            prop_assert_eq!(info.mappings() as usize, mappings, "mappings of frame {}", number);
            prop_assert!(mappings == 0 || wanted.kind == FrameKind::User, "{number} is mapped");
            let content = self.machine.memory.contents.get(&frame).copied().unwrap_or(0);
            if [FrameKind::User, FrameKind::PageTable].contains(&wanted.kind) {
                prop_assert_eq!(content, wanted.content, "what stands in frame {}", number);
            }
        }
        let free = self.model.frames.iter().filter(|frame| frame.kind == FrameKind::Free).count();
        prop_assert_eq!(self.spaces.frames().free_count(), free);
        Ok(())
    }

    /// No CPU remembers what is not there any more, or another way.
    fn check_cpus(&self) -> Result<(), TestCaseError> {
        for cpu in CpuId::all() {
            let remembered = &self.machine.memory.remembered[cpu.index()];
            let root = self.spaces.loaded(cpu);
            prop_assert_eq!(self.machine.memory.loaded[cpu.index()], root, "what {:?} has loaded", cpu);
            let found = root.map(|root| walk(&self.machine.memory, root)).unwrap_or_default();
            for (address, page) in &remembered.pages {
                prop_assert_eq!(Some(page), found.pages.get(address), "{:?} remembers {:#x}", cpu, address);
            }
            prop_assert!(
                remembered.tables.iter().all(|table| found.tables.contains(table)),
                "{cpu:?} remembers a table"
            );
        }
        Ok(())
    }
}

fn seen(page: &kernel_core::tables::Page) -> Page {
    let Rights { access, cache, backing, withheld: false } = page.rights else {
        panic!("nothing is lent here");
    };
    Page { frame: page.frame.address() / P, access, cache, backing }
}

/// Every end that each call can come to. "part" is success with less than was asked for.
const ENDS: [(&str, &[&str]); 15] = [
    ("create", &["ok", "EINVAL", "EDOM", "EPERM"]),
    ("destroy", &["ok", "part", "ESRCH", "EBUSY"]),
    ("map", &["ok", "part", "ESRCH", "EINVAL", "EFAULT", "EDOM", "EPERM", "EEXIST"]),
    ("map without tables", &["part"]),
    ("map_new", &["ok", "EINVAL", "EFAULT", "ENOMEM", "EEXIST"]),
    ("unmap", &["ok", "part", "ESRCH", "EINVAL", "EFAULT"]),
    ("protect", &["ok", "part", "ESRCH", "EINVAL", "EFAULT"]),
    ("query", &["ok", "part", "ESRCH", "EINVAL", "EFAULT"]),
    ("claim", &["ok", "part", "EINVAL", "ENOMEM"]),
    ("give_back", &["ok", "part", "EINVAL", "EDOM", "EPERM"]),
    ("donate", &["ok", "part", "ESRCH", "EINVAL", "EDOM", "EPERM"]),
    ("release", &["ok", "part", "EINVAL", "EDOM", "EPERM", "EBUSY"]),
    ("frame_info", &["ok", "EINVAL", "EDOM"]),
    ("pin", &["ok", "EDOM", "EPERM"]),
    ("unpin", &["ok", "EDOM", "EPERM", "ENOSPC"]),
];

/// Sequences of [`STEPS`] steps on average.
fn sequences() -> u32 {
    if std::env::var_os("SELIX_SOAK").is_some() { 5_000 } else { 200 }
}

#[test]
fn spaces_and_frames_are_what_the_model_says() {
    let tally = Tally::default();
    let config = ProptestConfig {
        cases: sequences(),
        rng_seed: RngSeed::Fixed(64),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let input = prop::collection::vec(step(), 1..2 * STEPS);
    let result = TestRunner::new(config).run(&input, |steps| {
        let mut storage = Storage::new();
        let (spaces, machine) = (storage.spaces(), TestMachine::default());
        let mut pair = Pair { spaces, machine, model: Model::new(), tally: &tally };
        // Most of the memory is the server's, and there are a few spaces to begin with.
        let start = [Step::Claim(80), Step::Create(8 * P), Step::Create(9 * P), Step::CreateOwn];
        for step in start.into_iter().chain(steps) {
            pair.remember();
            pair.step(&step).and_then(|()| pair.check()).map_err(|error| match error {
                TestCaseError::Fail(why) => TestCaseError::fail(format!("{step:x?}: {why}")),
                reject => reject,
            })?;
        }
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    let tally = tally.into_inner();
    for (call, ends) in ENDS {
        for end in ends {
            let times = tally.get(&(call, end.to_string())).copied().unwrap_or(0);
            assert!(times >= 10, "{call} came to the end {end} only {times} times: {tally:?}");
        }
    }
}
