//! The journal: a successor knows all that was answered, wherever its predecessor died.

use super::*;
use crate::change::{Bytes, Change, Content};
use crate::store::Effects;

/// Something of everything that changes the store: numbered steps.
fn step(world: &mut World<'_>, number: usize) {
    let key = |text: &str| Key::new(text.as_bytes()).unwrap();
    let done = match number {
        0 => world.label("a", A),
        1 => world.label("b", B),
        2 => world.subscribe(B, "x.*"),
        3 => world.number(A, "x1", 1),
        4 => world.bytes(A, "x2", b"some bytes that take more than one word", PLAIN),
        5 => world.check(B).map(drop),
        6 => world.set_number(A, "x1", 2),
        7 => world.range(A, "m", 7, 1).map(drop),
        8 => result(world.ds.snapshot(caller(A), Snapshot { key: key("m") })).map(drop),
        9 => world.number(B, &"y".repeat(60), 1),
        10 => world.delete(A, "x1", EntryKind::Number),
        11 => world.label("c", C),
        12 => world.subscribe_to(C, ".*", Kinds::empty(), SubscribeFlags::INITIAL),
        13 => result(world.ds.snapshot(caller(A), Snapshot { key: key("m") })).map(drop),
        14 => world.label("b", B.next_generation()),
        15 => world.delete(RS, "a", EntryKind::Label),
        _ => world.bytes(B.next_generation(), "last", b"1", PLAIN),
    };
    done.unwrap();
}

const ALL: &[usize] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

/// Without ranges, which need much room, and with many changes of one entry.
const SHORT: &[usize] = &[
    0, 1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 9, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 10, 11,
    12, 14, 15, 16,
];

/// What the server knows before and after each step, and how many words it has written. Tells also how often all was written anew.
fn history(paper: usize, steps: &[usize]) -> (Vec<(String, usize)>, u64) {
    let mut ground = Ground::new(16 << 10);
    let mut world = ground.fresh(paper);
    let mut history = vec![(world.dump(), world.ds.journal.words().written)];
    for number in steps {
        step(&mut world, *number);
        history.push((world.dump(), world.ds.journal.words().written));
    }
    let words = &world.ds.journal.words().words;
    (history, words[1].max(words[paper / 2 + 1]))
}

/// Kills a server at each word that it writes, and looks at its successor. Returns how often all was written anew.
fn killed_at_each_word(paper: usize, steps: &[usize]) -> u64 {
    let (history, anew) = history(paper, steps);
    let (mut ground, mut successor) = (Ground::new(16 << 10), Ground::new(16 << 10));
    let (first, last) = (history[0].1, history[steps.len()].1);
    for written in first..last {
        let mut world = ground.fresh(paper);
        world.ds.journal.words_mut().left = written - first;
        // The step in which it dies.
        let during = history.iter().position(|(_, until)| *until > written).unwrap() - 1;
        steps[..=during].iter().for_each(|number| step(&mut world, *number));
        let words = world.ds.journal.words().words.clone();
        let found = successor.successor(&words).unwrap_or_else(|damage| panic!("{damage} at word {written}"));
        let (before, after) = (&history[during].0, &history[during + 1].0);
        let dump = found.dump();
        assert!(
            dump == *before || dump == *after,
            "word {written}, step {during}:\n{dump}\nnot\n{before}\nnor\n{after}"
        );
    }
    anew
}

#[test]
fn wherever_it_dies_its_successor_knows_all_that_was_answered() {
    assert_eq!(killed_at_each_word(2 * ((16 << 10) / 8), ALL), 1);
}

#[test]
fn also_while_it_writes_all_anew() {
    // So little that each half is soon full.
    let anew = killed_at_each_word(2 * (640 / 8), SHORT);
    assert!(anew >= 3, "{anew}");
}

#[test]
fn every_one_who_has_subscribed_looks_again_after_a_restart() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.subscribe(B, "x.*").unwrap();
    world.subscribe(C, "y.*").unwrap();
    world.number(A, "x1", 1).unwrap();
    let words = world.ds.journal.words().words.clone();
    let mut ground = Ground::new(SMALL);
    let mut world = ground.successor(&words).unwrap();
    assert_eq!(world.notices(), [B, C]);
    assert_eq!((world.checks(B), world.check(C)), (vec!["x1".into()], Err(Errno::NoEnt)));
    world.number(A, "x2", 2).unwrap();
    // And so do its own successors.
    let words = world.ds.journal.words().words.clone();
    let mut ground = Ground::new(SMALL);
    let mut world = ground.successor(&words).unwrap();
    assert_eq!((world.get(B, "x1"), world.get(B, "x2"), world.checks(B)), (Ok(1), Ok(2), vec!["x2".into()]));
}

#[test]
fn many_changes_do_not_need_much_room() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    for n in 0..20_000 {
        world.set_number(A, "x", n).unwrap();
    }
    let words = &world.ds.journal.words().words;
    let beyond = words[..words.len() / 2].iter().rposition(|word| *word != 0).unwrap();
    assert!(beyond * 8 <= (16 << 10) + 64, "{beyond} words were written in the first half");
    assert_eq!(Ground::new(SMALL).successor(words).unwrap().get(B, "x"), Ok(19_999));
}

#[test]
fn what_has_another_format_is_refused() {
    let mut ground = Ground::new(SMALL);
    let mut words = ground.with_services().ds.journal.words().words.clone();
    let refused = |words: &[u64]| Ground::new(SMALL).successor(words).map(drop).unwrap_err();
    words[0] = words[0] & 0xffff_ffff | 2 << 32;
    assert_eq!(refused(&words), Damage::Format(2));
    assert_eq!(std::format!("{}", refused(&words)), "the journal of the predecessor has format 2, not 1");
    words[0] ^= 1;
    assert_eq!(refused(&words), Damage::Nothing);
    assert_eq!((refused(&[0; 100]), refused(&[])), (Damage::Nothing, Damage::Read(Errno::Perm)));
}

#[test]
fn no_damage_goes_unnoticed() {
    let mut ground = Ground::new(16 << 10);
    let mut world = ground.fresh(PAPER);
    ALL.iter().for_each(|number| step(&mut world, *number));
    let dump = world.dump();
    let words = world.ds.journal.words().words.clone();
    let used = words[2] as usize;
    let mut successor = Ground::new(16 << 10);
    let mut unnoticed = 0;
    for word in 0..used {
        for bit in [0, 7, 31, 32, 63] {
            let mut damaged = words.clone();
            damaged[word] ^= 1 << bit;
            if let Ok(found) = successor.successor(&damaged) {
                // In the sequence number, where the other half is that does not count, or what fills a last word.
                assert_eq!(found.dump(), dump, "bit {bit} of word {word}");
                unnoticed += 1;
            }
        }
    }
    assert!(unnoticed < used / 4, "{unnoticed} of {used} words");
}

#[test]
fn changes_that_cannot_be_are_refused() {
    let label = |place, label, endpoint| Change::Label { place, label: Bytes(label), endpoint, flags: 0 };
    let entry = |place, owner, content| Change::Entry { place, owner, key: Bytes(b"k"), flags: 0, content };
    let number = Content::Number(1);
    let good = [label(0, b"rs", 1), label(1, b"a", 10), entry(64, 1, number)];
    let cases: &[Change<'_>] = &[
        label(64, b"b", 11),
        label(2, b"a", 11),
        label(1, b"b", 10),
        label(2, b"b", 10),
        label(2, b"", 11),
        Change::Label { place: 2, label: Bytes(b"b"), endpoint: 11, flags: 1 },
        entry(63, 1, Content::Bytes(Bytes(b"x"))),
        entry(320, 1, Content::Bytes(Bytes(b"x"))),
        entry(65, 2, Content::Bytes(Bytes(b"x"))),
        entry(65, 1, number),
        entry(64, 1, Content::Bytes(Bytes(b"x"))),
        entry(65, 1, Content::Bytes(Bytes(b""))),
        entry(65, 1, Content::Bytes(Bytes(&[1; 200]))),
        entry(65, 1, Content::Mapped { granter: 1, grant: 1, len: 0, taken: 0 }),
        entry(65, 1, Content::Mapped { granter: 1, grant: 1, len: 65537, taken: 0 }),
        Change::Gone { place: 0 },
        Change::Gone { place: 2 },
        Change::Gone { place: 65 },
        Change::Gone { place: u16::MAX },
        Change::Subscription { owner: 2, kinds: 1, pattern: Bytes(b"x"), marks: [0; 5] },
        Change::Subscription { owner: 1, kinds: 0x10, pattern: Bytes(b"x"), marks: [0; 5] },
        Change::Subscription { owner: 1, kinds: 1, pattern: Bytes(b"("), marks: [0; 5] },
        Change::Subscription { owner: 1, kinds: 1, pattern: Bytes(b"x"), marks: [1 << 5, 0, 0, 0, 0] },
        Change::Told { owner: 1, place: 64 },
        Change::Told { owner: 100, place: 64 },
        Change::Snapshot { place: 64, bytes: Bytes(b"x") },
        Change::Snapshot { place: 500, bytes: Bytes(b"x") },
    ];
    for change in cases {
        let mut ground = Ground::new(100);
        let mut effects = Effects::default();
        let memory = ground.memory();
        memory.store.begin(memory.pool);
        for change in &good {
            memory.store.apply(change, &mut effects).unwrap();
        }
        assert!(memory.store.apply(change, &mut effects).is_err(), "{change:?}");
    }
}
