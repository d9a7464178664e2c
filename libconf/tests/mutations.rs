//! Random texts, and good ones that were changed at random.

mod property;

use proptest::prelude::*;

const GOOD: &str = include_str!("good.conf");

/// What a mutation writes into a text: pieces of the grammar, and of nothing.
const PIECES: &[&str] = &[
    ";",
    "{",
    "}",
    "};",
    "\"",
    "#",
    "\n",
    " ",
    "\0",
    "\u{fc}",
    "service",
    "class",
    "service x {",
    "rs",
    "vm",
    "ipc",
    "traps",
    "send",
    "NONE",
    "BASIC",
    "ALL",
    "USER",
    "SELF",
    "KERNEL",
    "type root",
    "type user",
    "unordered",
    "copy",
    "restart",
    "never",
    "backoff",
    "limit",
    "script",
    "mend",
    "0",
    "65536",
    "ffffffffffffffff",
    "1f0:8",
    "0:10000",
    "a0000:1000",
    "pci",
    "device",
    "8086:100e",
    "01/06",
    "descr",
    "system",
    "vm_",
    "for_others",
    "-1",
    "99999999999999999999",
];

/// A change: where, how much is taken away, and what is put there.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, usize, prop::sample::Index)> {
    (any::<prop::sample::Index>(), 0..20usize, any::<prop::sample::Index>())
}

/// The next place at which a text can be cut.
fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

fn changed(mutations: &[(prop::sample::Index, usize, prop::sample::Index)]) -> String {
    let mut text = GOOD.to_owned();
    for (place, len, piece) in mutations {
        let at = boundary(&text, place.index(text.len() + 1));
        let end = boundary(&text, (at + len).min(text.len()));
        text.replace_range(at..end, PIECES[piece.index(PIECES.len())]);
    }
    text
}

#[test]
fn the_text_that_is_changed_is_good() {
    libconf::Config::parse(GOOD).unwrap();
    property::check(GOOD);
}

#[test]
fn every_beginning_of_a_good_text() {
    (0..=GOOD.len()).filter(|end| GOOD.is_char_boundary(*end)).for_each(|end| property::check(&GOOD[..end]));
}

fn config() -> ProptestConfig {
    let cases = if std::env::var_os("SELIX_SOAK").is_some() { 200_000 } else { 2_000 };
    let rng_seed = proptest::test_runner::RngSeed::Fixed(6);
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text(text in any::<String>()) {
        property::check(&text);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        property::check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(any::<prop::sample::Index>(), 0..60)) {
        let text: Vec<&str> = pieces.iter().map(|piece| PIECES[piece.index(PIECES.len())]).collect();
        property::check(&text.join(" "));
    }

    #[test]
    fn changed_texts(mutations in prop::collection::vec(mutation(), 1..4)) {
        property::check(&changed(&mutations));
    }
}
