//! One step after another: a process does something, the model says what it must come to, and both are compared.

mod ends;
mod filed;
mod touches;

use crate::bench::Bench;
use crate::model::{Model, PLACES, Page, Process, Shows};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use protocol::Call;
use protocol::vm::*;
use protocol::vmctl::Access;
use std::collections::BTreeMap;
use std::ops::Range;
use storm::Random;

/// How often each thing came to what.
pub(crate) type Histogram = BTreeMap<(&'static str, String), u64>;

/// Where processes map at fixed addresses: on both sides of a border between page tables.
const ARENA: Range<u64> = 0x400 - 24..0x400 + 24;

/// Most processes.
const MOST: usize = 8;

/// Most pages of a process.
const MOST_PAGES: u64 = 100;

pub(crate) struct Game<'b, 'w, 't, 'h> {
    pub(crate) bench: &'b mut Bench<'w, 't>,
    model: Model,
    random: Random,
    histogram: &'h mut Histogram,
    what: String,
}

impl<'b, 'w, 't, 'h> Game<'b, 'w, 't, 'h> {
    pub(crate) fn new(bench: &'b mut Bench<'w, 't>, seed: u64, histogram: &'h mut Histogram) -> Self {
        let vfs = crate::vfs::start(bench);
        bench.vfs = Some(vfs);
        let model = Model { processes: vec![Process::new(bench.first)], ..Model::default() };
        Self { bench, model, random: Random::new(seed), histogram, what: String::new() }
    }

    pub(crate) fn play(&mut self, steps: u64) {
        /// Steps between two comparisons of everything.
        const AUDIT: u64 = 16;
        for number in 0..steps {
            self.what.clear();
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                self.step();
                if number.is_multiple_of(AUDIT) {
                    self.bench.check();
                    self.compare();
                }
            }));
            if let Err(panic) = done {
                eprintln!("in step {number}: {}", self.what);
                std::panic::resume_unwind(panic);
            }
        }
    }

    /// Everybody ends but the first, which begins anew.
    pub(crate) fn end(mut self) {
        while self.model.processes.len() > 1 {
            let last = self.model.processes.len() - 1;
            let who = if self.model.processes[last].endpoint == self.bench.first { 0 } else { last };
            self.exit(who);
        }
        self.clear(0);
        let vfs = self.bench.vfs.take().expect("there is one");
        filed::end(vfs, self.bench);
        self.bench.check();
        self.bench.assert_all_free();
    }

    fn step(&mut self) {
        let who = self.random.below(self.model.processes.len() as u64) as usize;
        match self.random.below(100) {
            0..35 => self.write(who),
            35..45 => self.read(who),
            45..48 => self.execute(who),
            48..53 => self.request(who),
            53..59 => self.map(who),
            59..62 => self.map_file(who),
            62..70 => self.unmap(who),
            70..78 => self.protect(who),
            78..83 => self.brk(who),
            83..88 => self.remap(who),
            88..91 => self.fork(who),
            91 => self.spawn(who),
            92..95 => self.exit(who),
            95 => self.clear(who),
            96 => self.update(who),
            97 => self.fix(who),
            98 if self.random.below(2) == 0 => self.limit(who),
            98 => self.file_system(),
            _ => self.pin(who),
        }
    }

    fn count(&mut self, name: &'static str, result: impl Into<String>) {
        *self.histogram.entry((name, result.into())).or_default() += 1;
    }

    /// Somebody makes a call; it must come to what the model expects.
    fn call<C: Call + std::fmt::Debug>(
        &mut self,
        from: Endpoint,
        call: &C,
        expected: Result<(), Errno>,
    ) -> Result<C::Reply, Errno> {
        self.what += &format!("{call:?} ");
        let result = self.bench.call(from, call);
        assert_eq!(result.as_ref().map(drop).map_err(|error| *error), expected, "{call:x?}");
        self.count(C::NAME, result.as_ref().map_or_else(|error| format!("{error:?}"), |_| "Ok".to_owned()));
        result
    }

    fn access(&mut self) -> Access {
        [Access::Write, Access::Write, Access::Read, Access::Execute][self.random.below(4) as usize]
    }

    fn arena(&mut self) -> u64 {
        ARENA.start + self.random.below(ARENA.end - ARENA.start)
    }

    /// A page: most often one that the process has.
    fn page(&mut self, who: usize) -> u64 {
        let number = self.random.word() as usize;
        let pages = &self.model.processes[who].pages;
        let own = (!pages.is_empty() && number & 7 != 0).then(|| pages.keys().nth((number >> 3) % pages.len()));
        own.flatten().copied().unwrap_or_else(|| self.arena())
    }

    /// A steward that does something for a process, or that itself.
    fn caller(&mut self, who: usize) -> Endpoint {
        if self.random.below(4) == 0 { self.bench.first } else { self.model.processes[who].endpoint }
    }

    fn map(&mut self, who: usize) {
        let (len, access) = (1 + self.random.below(12), self.access());
        let mut flags = MapFlags::ANONYMOUS;
        match self.random.below(8) {
            0 => flags |= MapFlags::SHARED,
            1 => flags |= MapFlags::PREALLOCATED,
            2 => flags |= MapFlags::PREALLOCATED | MapFlags::CONTIGUOUS,
            _ => {}
        }
        let start = match self.random.below(3) {
            0 => 0,
            1 => self.arena(),
            _ => {
                flags |= MapFlags::FIXED;
                self.arena()
            }
        };
        let replaced = if flags.contains(MapFlags::FIXED) { start..start + len } else { 0..0 };
        let process = &self.model.processes[who];
        let too_much = process.is_too_much(len, process.covered(&replaced)) || self.is_full(who, len);
        let expected = if too_much { Err(Errno::NoMem) } else { Ok(()) };
        if self.is_full(who, len) && !process.is_too_much(len, process.covered(&replaced)) {
            return;
        }
        let (target, caller) = (process.endpoint, self.caller(who));
        let (address, bytes) = (start * PAGE_SIZE, len * PAGE_SIZE - self.random.below(PAGE_SIZE));
        let call = Map { address, len: bytes, offset: 0, flags: flags.bits(), access, fd: -1, process: target };
        let Ok(mapped) = self.call(caller, &call, expected) else {
            return;
        };
        let object = self.model.objects.len();
        if flags.contains(MapFlags::SHARED) {
            self.model.objects.push(BTreeMap::new());
        }
        let process = &mut self.model.processes[who];
        let at = mapped.address / PAGE_SIZE;
        let is_wish_met = start == 0 || process.covered(&(start..start + len)) > 0 || at == start;
        assert!(is_wish_met || !replaced.is_empty(), "a free place was wished for");
        process.unmap(replaced);
        let shows = |page| match flags {
            _ if flags.contains(MapFlags::SHARED) => Shows::Shared { object, page },
            _ if flags.contains(MapFlags::CONTIGUOUS) => Shows::Run([0; PLACES.len()]),
            _ => Shows::Own([0; PLACES.len()]),
        };
        process.map(at, (0..len).map(|page| Page::new(access, shows(page))));
    }

    /// Whether a process has as many pages as the game lets it have.
    fn is_full(&self, who: usize, more: u64) -> bool {
        self.model.processes[who].pages.len() as u64 + more > MOST_PAGES
    }

    fn range(&mut self, who: usize) -> (Range<u64>, u64, u64) {
        let start = self.page(who);
        let len = 1 + self.random.below(10);
        let bytes = len * PAGE_SIZE - self.random.below(PAGE_SIZE);
        (start..start + len, start * PAGE_SIZE, bytes)
    }

    fn unmap(&mut self, who: usize) {
        let (range, address, len) = self.range(who);
        let (caller, process) = (self.caller(who), self.model.processes[who].endpoint);
        let _ = self.call(caller, &Unmap { address, len, process, reserved: 0 }, Ok(()));
        self.model.processes[who].unmap(range);
    }

    fn protect(&mut self, who: usize) {
        let (range, address, len) = self.range(who);
        let (access, caller) = (self.access(), self.caller(who));
        let process = &mut self.model.processes[who];
        let expected = process.protect(range, access);
        let call = Protect { address, len, process: process.endpoint, access };
        let _ = self.call(caller, &call, expected);
    }

    fn brk(&mut self, who: usize) {
        let process = &self.model.processes[who];
        let me = process.endpoint;
        let Some((start, end)) = process.data else {
            let start = self.arena() * PAGE_SIZE + self.random.below(PAGE_SIZE);
            let _ = self.call(me, &SetBreak { process: me, reserved: 0, start }, Ok(()));
            self.model.processes[who].data = Some((start, start));
            return;
        };
        let new = start - PAGE_SIZE + self.random.below(12 * PAGE_SIZE);
        let (before, after) = (end.div_ceil(PAGE_SIZE), new.div_ceil(PAGE_SIZE));
        let more = after.saturating_sub(before);
        let expected = match () {
            () if new < start => Err(Errno::Inval),
            () if process.covered(&(before..before + more)) > 0 => Err(Errno::NoMem),
            () if more > 0 && process.is_too_much(more, 0) => Err(Errno::NoMem),
            () => Ok(()),
        };
        if self.call(me, &Brk { end: new }, expected).is_err() {
            return;
        }
        let process = &mut self.model.processes[who];
        process.unmap(after..before.max(after));
        process.map(before, (0..more).map(|_| Page::new(Access::Write, Shows::Own(Default::default()))));
        process.data = Some((start, new));
    }

    /// A whole region of a process is shown by another, or a part of one, which is refused.
    fn remap(&mut self, who: usize) {
        let (from, access) = (self.page(who), self.access());
        let (source, caller) = (self.model.processes[who].endpoint, self.bench.first);
        let found = self.bench.call(caller, &GetRegion { process: source, reserved: 0, address: from * PAGE_SIZE });
        let Ok(region) = found else {
            return;
        };
        let other = self.random.below(self.model.processes.len() as u64) as usize;
        let is_whole = self.random.below(8) != 0;
        let len = if is_whole { region.len } else { region.len + PAGE_SIZE };
        let pages = region.len / PAGE_SIZE;
        let range = region.start / PAGE_SIZE..region.start / PAGE_SIZE + pages;
        let to = if self.random.below(2) == 0 { 0 } else { self.arena() };
        let expected = self.expect_remap((who, range.clone(), is_whole, &region), other, to, access);
        if expected.is_ok() && self.is_full(other, pages) {
            return;
        }
        let call = Remap {
            source,
            process: self.model.processes[other].endpoint,
            source_address: region.start,
            address: to * PAGE_SIZE,
            len,
            access,
            reserved: 0,
        };
        let Ok(mapped) = self.call(caller, &call, expected) else {
            return;
        };
        let object = self.model.share(who, range);
        let page = |page| Page { any: false, ..Page::new(access, Shows::Shared { object, page }) };
        self.model.processes[other].map(mapped.address / PAGE_SIZE, (0..pages).map(page));
    }

    fn expect_remap(
        &self,
        (who, range, is_whole, region): (usize, Range<u64>, bool, &RegionInfo),
        other: usize,
        to: u64,
        access: Access,
    ) -> Result<(), Errno> {
        let pages = range.end - range.start;
        let first = self.model.processes[who].pages[&range.start];
        let process = &self.model.processes[other];
        // Part of an object cannot be told from the whole by the model: the server knows how long it was.
        let is_all = match first.shows {
            Shows::Own(_) => true,
            Shows::Run(_) | Shows::File(..) | Shows::Nothing => false,
            Shows::Shared { page, .. } => {
                let me = self.model.processes[who].endpoint;
                page == 0 && self.bench.object_len(me, range.start) == pages
            }
        };
        match () {
            () if !is_whole => Err(Errno::Fault),
            () if access != Access::Read && region.access != access => Err(Errno::Perm),
            () if to != 0 && process.covered(&(to..to + pages)) > 0 => Err(Errno::Exist),
            () if process.is_too_much(pages, 0) => Err(Errno::NoMem),
            () if !is_all => Err(Errno::Inval),
            () => Ok(()),
        }
    }
}
