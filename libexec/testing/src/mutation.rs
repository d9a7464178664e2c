//! Small changes to files, as a proptest strategy.

use crate::file::{ElfFile, Field, header, program};
use abi::layout::{USER_END, USER_START};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One change.
#[derive(Clone, Debug)]
pub enum Mutation {
    /// Turns one bit over.
    Flip(Index, u8),
    /// Puts a value into a field of the file header or of a program header.
    Field(Index, Value),
    /// Puts a value into any word of 1, 2, 4 or 8 bytes, naturally aligned.
    Word(Index, u8, Value),
    /// Cuts the file off.
    Cut(Index),
    /// Copies bytes of another file, or of this one, over bytes of this one: from, to, how many.
    Splice(Index, Index, u8),
}

/// A new value for a number.
#[derive(Clone, Debug)]
pub enum Value {
    /// This one.
    Set(u64),
    /// The old one, and this added.
    Add(u64),
    /// The value of another field of the headers.
    Like(Index),
}

/// Numbers at which something changes.
const BOUNDARIES: [u64; 22] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    16,
    56,
    64,
    0xfff,
    0x1000,
    0xffff,
    USER_START,
    u32::MAX as u64,
    1 << 32,
    USER_END - 1,
    USER_END,
    1 << 63,
    u64::MAX - 0xfff,
    u64::MAX - 7,
    u64::MAX,
];

fn value() -> impl Strategy<Value = Value> {
    let distance = select(&[1, 8, 16, 24, 0x100, 0x1000, 0x1_0000, 0x1_1000][..]);
    prop_oneof![
        2 => select(&BOUNDARIES[..]).prop_map(Value::Set),
        2 => distance.clone().prop_map(Value::Add),
        2 => distance.prop_map(|d: u64| Value::Add(d.wrapping_neg())),
        1 => any::<Index>().prop_map(Value::Like),
        1 => any::<u64>().prop_map(Value::Set),
    ]
}

/// Any change.
pub fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        3 => (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        6 => (any::<Index>(), value()).prop_map(|(field, value)| Mutation::Field(field, value)),
        4 => (any::<Index>(), 0..4u8, value()).prop_map(|(at, size, value)| Mutation::Word(at, size, value)),
        1 => any::<Index>().prop_map(Mutation::Cut),
        2 => (any::<Index>(), any::<Index>(), any::<u8>()).prop_map(|(from, to, len)| Mutation::Splice(from, to, len)),
    ]
}

/// The file after the changes. `donor` is the other file of [`Mutation::Splice`].
pub fn mutate(file: &ElfFile, donor: &ElfFile, mutations: &[Mutation]) -> ElfFile {
    mutations.iter().fold(file.clone(), |file, mutation| mutation.apply(file, donor))
}

impl Mutation {
    fn apply(&self, mut file: ElfFile, donor: &ElfFile) -> ElfFile {
        let len = file.0.len();
        if len == 0 {
            return file;
        }
        match self {
            Self::Flip(at, bit) => file.0[at.index(len)] ^= 1 << bit,
            Self::Field(index, value) => {
                let fields = header_fields(&file);
                value.put(&mut file, fields[index.index(fields.len())]);
            }
            Self::Word(at, size, value) => {
                let size = 1 << size;
                let offset = at.index(len) / size * size;
                value.put(&mut file, Field { offset, size });
            }
            Self::Cut(at) => file.0.truncate(at.index(len)),
            Self::Splice(from, to, count) => {
                let (from, to) = (from.index(donor.0.len()), to.index(len));
                let count = usize::from(*count).min(donor.0.len() - from).min(len - to);
                file.0[to..to + count].copy_from_slice(&donor.0[from..from + count]);
            }
        }
        file
    }
}

/// The fields of the file header, and of as many program headers as it names, at most 20.
fn header_fields(file: &ElfFile) -> Vec<Field> {
    let count = if fits(file, header::E_PHNUM) { file.get(header::E_PHNUM).min(20) as usize } else { 0 };
    header::ALL.into_iter().chain((0..count).flat_map(program::all)).collect()
}

fn fits(file: &ElfFile, field: Field) -> bool {
    field.offset + field.size <= file.0.len()
}

impl Value {
    /// Changes a field; one that the file has not, stays away.
    fn put(&self, file: &mut ElfFile, field: Field) {
        if !fits(file, field) {
            return;
        }
        let value = match self {
            Self::Set(value) => *value,
            Self::Add(distance) => file.get(field).wrapping_add(*distance),
            Self::Like(index) => {
                let fields = header_fields(file);
                let other = fields[index.index(fields.len())];
                if fits(file, other) { file.get(other) } else { 0 }
            }
        };
        file.0[field.offset..][..field.size].copy_from_slice(&value.to_le_bytes()[..field.size]);
    }
}
