//! The server's own memory. Before it begins with something it sees to it that the heap has as much as that may allocate; so
//! no allocation fails, and running out of memory is an error of whoever asks for something.

/// Where the server allocates.
pub trait Heap {
    /// How many pages it must grow so that blocks of so many bytes together can be allocated.
    fn lacks(&self, bytes: usize) -> u64;

    /// The first page behind it: where it grows.
    fn end(&self) -> u64;

    /// So many pages have been mapped behind it.
    fn grow(&mut self, pages: u64);
}

/// What an allocation may take beside its bytes: the allocator's own word, and rounding.
pub const OVERHEAD: usize = 48;

/// Most levels of a tree with as many entries as there can be.
const LEVELS: usize = 8;
/// Entries of a node (`BTreeMap` has eleven), and its links.
const ENTRIES: usize = 11;
const LINKS: usize = 16;

/// The most bytes that one more entry of a `BTreeMap` allocates: a node of each level is split in two, and a root is added.
pub(crate) const fn bytes_for_entry<K, V>() -> usize {
    (LEVELS + 1) * (ENTRIES * (size_of::<K>() + size_of::<V>()) + LINKS * size_of::<usize>() + OVERHEAD)
}

/// The same for so many entries that are neighbours. A node that was split takes five more entries before it is split again, and
/// among the new ones there may be as many old ones: so each level splits a fifth of the one below it, and one at both ends.
pub(crate) const fn bytes_for_neighbours<K, V>(entries: usize) -> usize {
    let nodes = entries / 2 + 2 * (LEVELS + 1);
    nodes * (bytes_for_entry::<K, V>() / (LEVELS + 1))
}
