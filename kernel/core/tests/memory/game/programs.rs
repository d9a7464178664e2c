//! What programs do themselves: they write and read, also their tables of grants.

use super::*;

impl Game<'_, '_> {
    pub(super) fn store(&mut self, player: usize) {
        let (_, page) = self.page_of(player);
        let at = page + self.random.below(PAGE_SIZE);
        let len = 1 + self.random.below(16).min(page + PAGE_SIZE - at - 1) as usize;
        let word = [self.random.word(), self.random.word()];
        let bytes = word.as_bytes()[..len].to_vec();
        self.write(player, at, &bytes);
    }

    /// Changes an entry of the table of grants: makes one, or ends one.
    pub(super) fn grant(&mut self, player: usize) {
        let me = self.me(player).clone();
        let index = self.draw(player, |draw| draw.index());
        let at = me.table.address + index * 64;
        if index >= me.table.count || region(at - at % PAGE_SIZE).is_none() {
            return;
        }
        if self.once_in(8) {
            return self.write(player, at, &[0; 4]);
        }
        let before = self.model.entry_at(&me, index).map_or(0, |entry| entry.sequence);
        let before = if before > 1 << 40 { 0 } else { before };
        let entry = self.draw(player, |draw| draw.entry(index, before));
        self.write(player, at, entry.as_bytes());
    }

    /// A grant is handed on and on, to whoever has a table; the last of them uses it, and those before it.
    pub(super) fn chain(&mut self, first: usize) {
        /// One more than there may be.
        const LINKS: usize = 7;
        let (mut granter, mut given) = (first, None);
        for _ in 0..LINKS {
            let index = self.draw(granter, |draw| draw.index());
            let me = self.me(granter).clone();
            let at = me.table.address + index * 64;
            let has_table = index < me.table.count && me.table.owner == me.endpoint && self.waiting[granter].is_none();
            if !has_table || !self.model.has(me.space, at, 64, true) {
                continue;
            }
            let next = self.random.below(PLAYERS.len() as u64) as usize;
            let grantee = self.me(next).endpoint;
            let before = self.model.entry_at(&me, index).map_or(0, |entry| entry.sequence);
            let entry = self.draw(granter, |draw| draw.link(given, grantee, before));
            self.write(granter, at, entry.as_bytes());
            given = GrantId::new(index, entry.sequence).map(|id| (me.endpoint, id));
            granter = next;
            if self.waiting[next].is_none() {
                self.make_call(next);
            }
        }
    }

    pub(super) fn write_list(&mut self, player: usize) {
        let (at, list) = self.draw(player, |draw| (draw.list_address(), draw.list()));
        let here = (PAGE_SIZE - at % PAGE_SIZE) as usize;
        self.write(player, at, &list[..here]);
        self.write(player, at + here as u64, &list[here..]);
    }

    /// A program writes, within one page, as a processor does it.
    pub(super) fn write(&mut self, player: usize, at: u64, bytes: &[u8]) {
        let Process { endpoint, space, .. } = *self.me(player);
        self.what = format!("{endpoint:?} writes {} bytes at {at:#x}", bytes.len());
        if self.touch(player, at, MemoryAccess::Write, |machine, root| machine.write(root, at, bytes).is_ok()) {
            self.model.write(space, at, bytes);
            self.count("store", "Ok");
        }
        self.touched.push(space);
    }

    pub(super) fn load(&mut self, player: usize) {
        let (_, page) = self.page_of(player);
        let space = self.me(player).space;
        self.what = format!("{:?} reads {page:#x}", self.me(player).endpoint);
        let mut bytes = [0; PAGE_SIZE as usize];
        if self.touch(player, page, MemoryAccess::Read, |machine, root| machine.read(root, page, &mut bytes).is_ok()) {
            assert_eq!(self.model.read(space, page, PAGE_SIZE).expect("it is there"), bytes);
            self.count("load", "Ok");
        }
    }

    /// A program touches a page, with page faults; whether that is possible.
    pub(super) fn touch(
        &mut self,
        player: usize,
        at: u64,
        access: MemoryAccess,
        mut touch: impl FnMut(&mut crate::machine::Computer, kernel_core::frames::FrameNumber) -> bool,
    ) -> bool {
        let Process { endpoint, space, .. } = *self.me(player);
        let (page, write) = (at - at % PAGE_SIZE, access == MemoryAccess::Write);
        let may = self.model.has(space, page, PAGE_SIZE, write);
        let borrowed = self.model.mappings.iter().any(|m| m.borrows(space, page, PAGE_SIZE));
        let number = PLAYERS.start + player;
        let root = self.system.kernel.process(slot(number)).space.expect("it lives somewhere").root();
        if touch(&mut self.system.machine, root) {
            assert!(may, "it must not");
            return true;
        }
        let cpu = CpuId::new(number).expect("each has one");
        self.system.machine.cpu = cpu;
        let kernel = &mut self.system.kernel;
        assert_eq!(kernel.schedule(&mut self.system.machine, cpu), Some(slot(number)));
        let _ = kernel.memory_fault(&mut self.system.machine, cpu, at, access, format_args!("a test"));
        let name = if write { "store" } else { "load" };
        let rts = self.system.rts(number);
        if may {
            assert_eq!(rts, Rts::empty(), "it may write");
            assert!(touch(&mut self.system.machine, root), "it may write, after a fault");
            self.count(name, "after a fault");
            return true;
        }
        if borrowed {
            assert_eq!(self.system.take_signal(endpoint), Signal::SEGV.bit());
            self.count(name, "denied");
            return false;
        }
        assert_eq!(rts, Rts::PAGE_FAULT);
        self.tell();
        let provided = self.provide(space, page, write);
        self.system.by(VM, &ClearPageFault { process: endpoint }).expect("it waits");
        assert_eq!(touch(&mut self.system.machine, root), provided, "the server has said so");
        self.count(name, if provided { "brought" } else { "refused" });
        provided
    }
}
