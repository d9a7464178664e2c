//! Where relocatable programs go.

use crate::support::loaded;
use abi::layout::{PAGE_SIZE, PIE_BASE, STACK_TOP, USER_END};
use libexec::{MAX_SEGMENT_ALIGN, PIE_SPAN, Plan, Request, plan};
use libexec_testing::good::{self, DATA, HEADERS};
use libexec_testing::loading::request;
use libexec_testing::{ElfFile, program};
use std::collections::BTreeSet;

/// Bits as they may come, from one number to the next by a linear generator (Knuth, MMIX).
fn bits() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(1_u64), |x| {
        Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
}

fn planned(file: &ElfFile) -> Plan {
    plan(&file.0).unwrap()
}

/// A relocatable program that takes so many bytes.
fn long(len: u64) -> ElfFile {
    good::rela().set(program::p_memsz(DATA), len - good::address(0, DATA))
}

#[test]
fn without_random_bits_it_is_the_usual_base() {
    assert_eq!(planned(&good::rela()).random_base(0, USER_END), PIE_BASE);
    assert_eq!(loaded(&good::rela().0, &request()).1.base, PIE_BASE);
}

#[test]
fn fixed_programs_stay() {
    for bits in [0, 1, u64::MAX] {
        assert_eq!(planned(&good::fixed()).random_base(bits, USER_END), 0);
    }
    assert_eq!(loaded(&good::fixed().0, &Request { base: u64::MAX, ..request() }).1.base, 0);
}

#[test]
fn every_base_in_the_span_can_be_chosen() {
    let file = good::rela();
    let places = PIE_SPAN / PAGE_SIZE;
    let chosen = |bits| planned(&file).random_base(bits, USER_END);
    assert_eq!(chosen(1), PIE_BASE + PAGE_SIZE);
    assert_eq!(chosen(places - 1), PIE_BASE + PIE_SPAN - PAGE_SIZE);
    assert_eq!(chosen(places), PIE_BASE);
    let bases: BTreeSet<_> = bits().take(1000).map(chosen).collect();
    assert!(bases.len() > 990 && bases.iter().all(|&base| planned(&file).at(base).is_ok()));
}

#[test]
fn the_base_keeps_the_alignment() {
    for align in [PAGE_SIZE, 1 << 21, MAX_SEGMENT_ALIGN] {
        let file = good::rela();
        let file = if align == PAGE_SIZE { file } else { file.set(program::p_align(HEADERS), align) };
        let plan = planned(&file);
        let bases: BTreeSet<_> = bits().take(100).map(|bits| plan.random_base(bits, USER_END)).collect();
        assert!(bases.len() > 90 && bases.iter().all(|base| base.is_multiple_of(align)));
        assert!(bases.iter().all(|base| (PIE_BASE..PIE_BASE + PIE_SPAN).contains(base)));
    }
}

/// A long program has fewer bases, down to one; whether it is loaded does not depend on chance.
#[test]
fn long_programs_end_below_the_stack() {
    let end = STACK_TOP - 0x10_0000;
    for room in [0, PAGE_SIZE, 5 * PAGE_SIZE, PIE_SPAN - PAGE_SIZE, PIE_SPAN] {
        let plan = planned(&long(end - PIE_BASE - room));
        let places = (room / PAGE_SIZE + 1).min(PIE_SPAN / PAGE_SIZE);
        assert_eq!(plan.random_base(places - 1, end), PIE_BASE + (places - 1) * PAGE_SIZE);
        assert_eq!(plan.random_base(places, end), PIE_BASE);
        for bits in bits().take(100) {
            let base = plan.random_base(bits, end);
            assert!(plan.at(base).unwrap().image().end <= end);
        }
    }
    let too_long = planned(&long(USER_END - PIE_BASE + PAGE_SIZE));
    assert_eq!(too_long.random_base(u64::MAX, end), PIE_BASE);
    assert!(too_long.at(PIE_BASE).is_err());
}

#[test]
fn a_program_runs_wherever_it_is_put() {
    for base in bits().take(50) {
        let (space, program) = loaded(&good::rela_and_relr().0, &Request { base, ..request() });
        for (place, addend) in good::RELA_TARGETS {
            assert_eq!(space.word(program.base + place), program.base + addend);
        }
    }
}

/// The longest program that leaves the page below the stack free is loaded, for all bits; a longer one for none.
#[test]
fn the_longest_program() {
    let room = request().stack.start - PAGE_SIZE - PIE_BASE;
    for base in bits().take(20) {
        let request = Request { base, ..request() };
        assert_eq!(loaded(&long(room).0, &request).1.base, PIE_BASE);
        let (_, result) =
            libexec_testing::loading::load(&long(room + 1).0, libexec_testing::space::Files::Copied, &request);
        assert!(matches!(result, Err(libexec::ExecError::Before(libexec::Refusal::Stack(_)))), "{result:?}");
    }
}

/// With a stack below the usual base, programs still go anywhere above it.
#[test]
fn a_low_stack() {
    let stack = 0x1000_0000..0x1010_0000;
    let base = |base| loaded(&good::rela().0, &Request { base, stack: stack.clone(), ..request() }).1.base;
    let bases: BTreeSet<_> = bits().take(20).map(base).collect();
    assert!(bases.len() > 15 && bases.first() >= Some(&PIE_BASE), "{bases:x?}");
}
