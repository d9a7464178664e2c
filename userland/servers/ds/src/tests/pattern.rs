//! Patterns, one by one and against a matcher that tries everything.

extern crate std;
use super::*;
use proptest::prelude::*;
use std::vec::Vec;

fn pattern(text: &str) -> Result<Pattern, Errno> {
    Pattern::new(Name::new(text.as_bytes())?)
}

#[track_caller]
fn check(text: &str, fits: &[&str], not: &[&str]) {
    let pattern = pattern(text).unwrap();
    for key in fits {
        assert!(pattern.fits(key.as_bytes()), "{text} must fit {key}");
    }
    for key in not {
        assert!(!pattern.fits(key.as_bytes()), "{text} must not fit {key}");
    }
}

#[test]
fn both_ends_are_anchored() {
    check("a.c", &["abc", "a.c"], &["xabc", "abcd", "ac", "abbc"]);
    check(r"drv\.blk\..*", &["drv.blk.at_wini_0", "drv.blk."], &["drvxblk.at", "xdrv.blk.at", "drv.blk"]);
}

#[test]
fn repetitions() {
    check("a*", &["a", "aaaa"], &["b", "ab"]);
    check("a*b*c", &["c", "ac", "bc", "aabbc"], &["ba", "abab", "aab"]);
    check(".*", &["x", "anything at all"], &[]);
    check("x.*y", &["xy", "xyy", "x y y"], &["xyz", "zxy"]);
    check("[ab]*c", &["c", "abbac"], &["adc"]);
}

#[test]
fn sets() {
    check("[bc]lk", &["blk", "clk"], &["alk", "lk", "bclk"]);
    check("[a-cx]1", &["a1", "b1", "c1", "x1"], &["d1", "-1"]);
    check("[^a-c]1", &["d1", "-1"], &["a1", "b1", "c1"]);
    check("[]a]", &["]", "a"], &["b"]);
    check("[^]a]", &["b"], &["]", "a"]);
    check("[a-]", &["a", "-"], &["b"]);
    check("[-a]", &["a", "-"], &["b"]);
    check(r"[.*\]", &[".", "*", r"\"], &["a"]);
}

#[test]
fn alternatives() {
    check(r"drv\.blk\..*|drv\.chr\..*", &["drv.blk.a", "drv.chr.b"], &["drv.net.c", "drv.blk"]);
    check("a|b|c*", &["a", "b", "cc"], &["ab", "d"]);
}

#[test]
fn escapes() {
    check(r"a\*\\\|b\-", &[r"a*\|b-"], &["aa", "b-"]);
    check(r"\[x\]", &["[x]"], &["x"]);
}

#[test]
fn what_is_no_pattern_is_refused() {
    for text in [
        "(", ")", "a(b)", "{", "a{2}", "a}", "a+", "a?", "^a", "a$", "]", "*", "a**", "|", "a|", "|a", "a||b", "a|*",
        "\\", "a\\", r"\d", r"\n", "[", "[]", "[^]", "[a", "[^a", "[b-a]", "[a-c-b", "",
    ] {
        assert_eq!(pattern(text).map(drop), Err(Errno::Inval), "{text}");
    }
    assert!(Pattern::new(Name::new(&[0xff; 79]).unwrap()).unwrap().fits(&[0xff; 79]));
}

#[test]
fn hostile_patterns_take_no_more_steps_than_others() {
    // Each would take longer than the universe has been there for a matcher that goes back.
    for text in [
        "a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
        ".*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*b",
        "[ab]*[ab]*[ab]*[ab]*[ab]*[ab]*[ab]*[ab]*[ab]*[ab]*[ab]*[ab]*[ab]*c",
    ] {
        let pattern = pattern(text).unwrap();
        for _ in 0..1000 {
            assert!(!pattern.fits(&[b'a'; 79]));
        }
    }
}

/// Whether a pattern fits, by trying everything.
fn tried(atoms: &[(Vec<u8>, bool, bool)], key: &[u8]) -> bool {
    let Some(((set, others, repeated), rest)) = atoms.split_first() else {
        return key.is_empty();
    };
    let here = key.first().is_some_and(|byte| set.contains(byte) != *others);
    if *repeated { tried(rest, key) || here && tried(atoms, &key[1..]) } else { here && tried(rest, &key[1..]) }
}

fn written(alternatives: &[Vec<(Vec<u8>, bool, bool)>]) -> Vec<u8> {
    let write = |atoms: &Vec<(Vec<u8>, bool, bool)>| {
        let mut text = Vec::new();
        for (set, others, repeated) in atoms {
            match (set.len(), others) {
                (0, true) => text.push(b'.'),
                (1, false) => text.extend(set),
                (_, true) => text.extend([b"[^", &set[..], b"]"].concat()),
                (_, false) => text.extend([b"[", &set[..], b"]"].concat()),
            }
            text.extend(repeated.then_some(b'*'));
        }
        text
    };
    alternatives.iter().map(write).collect::<Vec<_>>().join(&b'|')
}

fn atom() -> impl Strategy<Value = (Vec<u8>, bool, bool)> {
    let set = proptest::collection::vec(b'a'..=b'c', 0..3);
    (set, any::<bool>(), any::<bool>()).prop_filter("a set has bytes", |(set, others, _)| *others || !set.is_empty())
}

proptest! {
    #[test]
    fn it_fits_what_a_matcher_finds_that_tries_everything(
        alternatives in proptest::collection::vec(proptest::collection::vec(atom(), 1..5), 1..3),
        key in proptest::collection::vec(b'a'..=b'd', 0..8),
    ) {
        let pattern = Pattern::new(Name::new(&written(&alternatives)).unwrap()).unwrap();
        prop_assert_eq!(pattern.fits(&key), alternatives.iter().any(|atoms| tried(atoms, &key)));
    }

    #[test]
    fn any_bytes_are_a_pattern_or_refused(
        text in proptest::collection::vec(any::<u8>(), 0..100),
        key in proptest::collection::vec(any::<u8>(), 0..79),
    ) {
        if let Ok(pattern) = Name::new(&text).and_then(Pattern::new) {
            let _ = pattern.fits(&key);
        }
    }
}
