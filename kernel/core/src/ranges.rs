//! The hardware that a program may use: I/O ports, physical memory, interrupt lines. A list of each belongs to its
//! privileges.
//!
//! Nothing is allowed that no entry names. MINIX lets a service without a list use every port and line; here a list that
//! nobody filled allows nothing, so that what was forgotten shows as a denial.

use crate::devices::Width;
use abi::Errno;
use arrayvec::ArrayVec;

/// Most ranges of ports in a list.
pub const MAX_PORT_RANGES: usize = 64;
/// Most ranges of memory in a list.
pub const MAX_MEMORY_RANGES: usize = 20;
/// Most interrupt lines in a list.
pub const MAX_LINES: usize = 16;

/// A range of I/O ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PortRange {
    first: u16,
    last: u16,
}

/// A range of physical memory. Its last byte, not its end, so that it may reach the top of the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MemoryRange {
    first: u64,
    last: u64,
}

impl MemoryRange {
    /// `None` for an empty range or one that wraps around.
    fn new(start: u64, len: u64) -> Option<Self> {
        Some(Self { first: start, last: start.checked_add(len.checked_sub(1)?)? })
    }
}

/// What a program may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resources {
    ports: ArrayVec<PortRange, MAX_PORT_RANGES>,
    memory: ArrayVec<MemoryRange, MAX_MEMORY_RANGES>,
    lines: ArrayVec<u8, MAX_LINES>,
}

impl Resources {
    /// Nothing.
    pub const NONE: Self =
        Self { ports: ArrayVec::new_const(), memory: ArrayVec::new_const(), lines: ArrayVec::new_const() };

    /// Allows the ports from `first` to `last`, both included.
    ///
    /// # Errors
    /// [`Errno::Inval`] if `last` comes before `first`, [`Errno::NoMem`] if the list is full.
    pub fn add_ports(&mut self, first: u16, last: u16) -> Result<(), Errno> {
        if last < first {
            return Err(Errno::Inval);
        }
        add(&mut self.ports, PortRange { first, last })
    }

    /// Allows `len` bytes of physical memory from `start` on.
    ///
    /// # Errors
    /// [`Errno::Inval`] if the range is empty or wraps around, [`Errno::NoMem`] if the list is full.
    pub fn add_memory(&mut self, start: u64, len: u64) -> Result<(), Errno> {
        add(&mut self.memory, MemoryRange::new(start, len).ok_or(Errno::Inval)?)
    }

    /// Allows an interrupt line.
    ///
    /// # Errors
    /// [`Errno::NoMem`] if the list is full.
    pub fn add_line(&mut self, line: u8) -> Result<(), Errno> {
        add(&mut self.lines, line)
    }

    /// Allows all that another program may use.
    ///
    /// # Errors
    /// [`Errno::NoMem`] if a list is full; what came before is allowed then.
    pub fn add_all(&mut self, other: &Self) -> Result<(), Errno> {
        other.ports.iter().try_for_each(|range| add(&mut self.ports, *range))?;
        other.memory.iter().try_for_each(|range| add(&mut self.memory, *range))?;
        other.lines.iter().try_for_each(|line| add(&mut self.lines, *line))
    }

    /// Whether an access to a port is allowed: aligned, and wholly inside one range. The kernel's own ports are another
    /// question, see [`crate::devices::Devices::is_kernel_port`].
    pub fn allows_port(&self, port: u16, width: Width) -> bool {
        let Some(touched) = width.ports(port) else { return false };
        self.ports.iter().any(|range| range.first <= *touched.start() && *touched.end() <= range.last)
    }

    /// Whether a range of physical memory is allowed: not empty, and wholly inside one range.
    pub fn allows_memory(&self, start: u64, len: u64) -> bool {
        let Some(asked) = MemoryRange::new(start, len) else { return false };
        self.memory.iter().any(|range| range.first <= asked.first && asked.last <= range.last)
    }

    /// The place of the first range that a port is in.
    pub(crate) fn place_of_port(&self, port: u16) -> Option<usize> {
        self.ports.iter().position(|range| range.first <= port && port <= range.last)
    }

    /// The place of an interrupt line.
    pub(crate) fn place_of_line(&self, line: u8) -> Option<usize> {
        self.lines.iter().position(|known| *known == line)
    }

    /// Whether an interrupt line is allowed.
    pub fn allows_line(&self, line: u8) -> bool {
        self.lines.contains(&line)
    }
}

/// Adds an entry, unless it is there already: a driver that is started again is given the same things again.
fn add<T: PartialEq, const N: usize>(list: &mut ArrayVec<T, N>, entry: T) -> Result<(), Errno> {
    if list.contains(&entry) {
        return Ok(());
    }
    list.try_push(entry).map_err(|_| Errno::NoMem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(first: u16, last: u16) -> Resources {
        let mut resources = Resources::NONE;
        resources.add_ports(first, last).unwrap();
        resources
    }

    fn memory(start: u64, len: u64) -> Resources {
        let mut resources = Resources::NONE;
        resources.add_memory(start, len).unwrap();
        resources
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        let none = Resources::NONE;
        assert!((0..=u16::MAX).all(|port| !none.allows_port(port, Width::Byte)));
        assert!((0..=u8::MAX).all(|line| !none.allows_line(line)));
        assert!(!none.allows_memory(0, 1) && !none.allows_memory(0, u64::MAX));
    }

    #[test]
    fn one_port_below_at_and_above_a_range() {
        let r = ports(0x1f0, 0x1f7);
        let allowed = |port| r.allows_port(port, Width::Byte);
        assert!(!allowed(0x1ef) && allowed(0x1f0) && allowed(0x1f7) && !allowed(0x1f8));
    }

    #[test]
    fn a_wide_access_must_be_inside_as_a_whole() {
        let r = ports(0x1f1, 0x1f6);
        assert!(r.allows_port(0x1f2, Width::Word) && r.allows_port(0x1f4, Width::Word));
        assert!(!r.allows_port(0x1f0, Width::Word) && !r.allows_port(0x1f6, Width::Word));
        assert!(!r.allows_port(0x1f0, Width::Long) && !r.allows_port(0x1f4, Width::Long));
        assert!(ports(0x1f0, 0x1f7).allows_port(0x1f4, Width::Long));
    }

    #[test]
    fn an_access_must_not_join_two_ranges() {
        let mut r = ports(0x100, 0x101);
        r.add_ports(0x102, 0x103).unwrap();
        assert!(r.allows_port(0x100, Width::Word) && r.allows_port(0x102, Width::Word));
        assert!(!r.allows_port(0x100, Width::Long));
        let mut r = memory(0x1000, 0x1000);
        r.add_memory(0x2000, 0x1000).unwrap();
        assert!(r.allows_memory(0x2fff, 1) && !r.allows_memory(0x1fff, 2));
    }

    #[test]
    fn unaligned_accesses_are_never_allowed() {
        let all = ports(0, u16::MAX);
        assert!(all.allows_port(0xfffe, Width::Word) && all.allows_port(0xfffc, Width::Long));
        for port in [1, 0xffff] {
            assert!(!all.allows_port(port, Width::Word), "{port}");
        }
        for port in [1, 2, 3, 0xfffd, 0xfffe, 0xffff] {
            assert!(!all.allows_port(port, Width::Long), "{port}");
        }
    }

    #[test]
    fn memory_at_inside_across_and_outside_a_range() {
        let r = memory(0x1000, 0x1000);
        assert!(r.allows_memory(0x1000, 0x1000) && r.allows_memory(0x1000, 1) && r.allows_memory(0x1fff, 1));
        for (start, len) in [(0xfff, 1), (0xfff, 2), (0x1000, 0x1001), (0x1fff, 2), (0x2000, 1), (0, 0x3000)] {
            assert!(!r.allows_memory(start, len), "{start:#x} {len:#x}");
        }
    }

    #[test]
    fn memory_that_is_empty_or_wraps_is_not_allowed() {
        let top = memory(u64::MAX - 0xfff, 0x1000);
        assert!(top.allows_memory(u64::MAX, 1) && top.allows_memory(u64::MAX - 0xfff, 0x1000));
        for (start, len) in [(u64::MAX, 0), (u64::MAX, 2), (u64::MAX - 0xfff, 0x1001), (u64::MAX - 0xfff, u64::MAX)] {
            assert!(!top.allows_memory(start, len), "{start:#x} {len:#x}");
        }
    }

    #[test]
    fn bad_ranges_are_refused_and_change_nothing() {
        let mut r = Resources::NONE;
        assert_eq!(r.add_ports(1, 0), Err(Errno::Inval));
        assert_eq!(r.add_ports(u16::MAX, 0), Err(Errno::Inval));
        assert_eq!(r.add_memory(0x1000, 0), Err(Errno::Inval));
        assert_eq!(r.add_memory(u64::MAX, 2), Err(Errno::Inval));
        assert_eq!(r.add_memory(1, u64::MAX), Ok(()), "its last byte is the last there is");
        assert_eq!(r.add_memory(2, u64::MAX), Err(Errno::Inval));
        assert_eq!(r, memory(1, u64::MAX));
    }

    #[test]
    fn full_lists_refuse_more_but_not_the_same_again() {
        let mut r = Resources::NONE;
        (0..MAX_PORT_RANGES as u16).for_each(|i| r.add_ports(i, i).unwrap());
        (0..MAX_MEMORY_RANGES as u64).for_each(|i| r.add_memory(i, 1).unwrap());
        (0..MAX_LINES as u8).for_each(|i| r.add_line(i).unwrap());
        let full = r.clone();
        assert_eq!(r.add_ports(0x100, 0x100), Err(Errno::NoMem));
        assert_eq!(r.add_memory(0x100, 1), Err(Errno::NoMem));
        assert_eq!(r.add_line(0x20), Err(Errno::NoMem));
        assert_eq!((r.add_ports(3, 3), r.add_memory(3, 1), r.add_line(3)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(r, full);
        assert!(r.allows_line(15) && !r.allows_line(0x20));
    }
}
