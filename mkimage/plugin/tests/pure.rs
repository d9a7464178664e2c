//! The parts of the plugin that need no QEMU.

#[path = "../src/event.rs"]
mod event;
#[path = "../src/stretch.rs"]
mod stretch;

use event::{Event, KERNEL_START};
use std::collections::BTreeSet;
use stretch::Stretches;

const PROGRAM: u64 = 0x40_0000;

/// What the instruction with these bytes is to the kernel.
fn in_kernel(bytes: &[u8]) -> Option<Event> {
    Event::of(KERNEL_START, bytes)
}

#[test]
fn dear_instructions_are_known_by_their_bytes() {
    for (bytes, event) in [
        (&[0x0f, 0xae, 0x03][..], Event::Fxsave),                  // fxsave [rbx]
        (&[0x48, 0x0f, 0xae, 0x83, 0xa0, 0, 0, 0], Event::Fxsave), // fxsave64 [rbx + 0xa0]
        (&[0x48, 0x0f, 0xae, 0x0d, 0, 0, 0, 0], Event::Fxrstor),   // fxrstor64 [rip]
        (&[0x0f, 0x22, 0xd8], Event::Cr3),                         // mov cr3, rax
        (&[0x0f, 0x01, 0x3f], Event::Invlpg),                      // invlpg [rdi]
        (&[0x0f, 0x30], Event::Wrmsr),                             // wrmsr
        (&[0x0f, 0x01, 0xf8], Event::Swapgs),                      // swapgs
        (&[0x8e, 0xd8], Event::Segment),                           // mov ds, eax
        (&[0x8e, 0x83, 0xa0, 0, 0, 0], Event::Segment),            // mov es, [rbx + 0xa0]
        (&[0xf0, 0x48, 0xff, 0x40, 0x28], Event::Atomic),          // lock inc qword ptr [rax + 0x28]
        (&[0x86, 0x0d, 0, 0, 0, 0], Event::Atomic),                // xchg [rip], cl
        (&[0xee], Event::Out),                                     // out dx, al
        (&[0xf4], Event::Hlt),                                     // hlt
    ] {
        assert_eq!(in_kernel(bytes), Some(event), "{bytes:x?}");
        assert_eq!(Event::of(PROGRAM, bytes), None, "{bytes:x?} in a program");
    }
}

#[test]
fn their_neighbours_are_not_told_of() {
    for bytes in [
        &[0x0f, 0x20, 0xd8][..], // mov rax, cr3
        &[0x0f, 0x22, 0xe0],     // mov cr4, rax
        &[0x0f, 0x32],           // rdmsr
        &[0x0f, 0xae, 0xe8],     // lfence
        &[0x8c, 0xd8],           // mov eax, ds
        &[0x48, 0x87, 0xd8],     // xchg rax, rbx
        &[0xec],                 // in al, dx
        &[0x0f, 0x31],           // rdtsc in the kernel
        &[0x90],                 // nop
        &[0x0f],                 // half an instruction
        &[],
    ] {
        assert_eq!(in_kernel(bytes), None, "{bytes:x?}");
    }
    assert_eq!(Event::of(PROGRAM, &[0x0f, 0x31]), Some(Event::Rdtsc));
}

#[test]
fn every_event_has_its_number_and_a_name_of_its_own() {
    for (number, event) in Event::ALL.into_iter().enumerate() {
        assert_eq!(event as usize, number, "{event:?}");
    }
    assert_eq!(Event::ALL.map(Event::name).into_iter().collect::<BTreeSet<_>>().len(), Event::ALL.len());
}

/// Executes each of these so often in the kernel, then lets interrupts in.
fn stretch(stretches: &mut Stretches, counts: &[(u64, usize)]) {
    for &(address, count) in counts {
        (0..count).for_each(|_| stretches.executed(address));
    }
    stretches.opened();
}

/// Those after boot.
fn running() -> Stretches {
    let mut stretches = Stretches::default();
    stretches.opened(); // The loader, before there is a kernel.
    stretch(&mut stretches, &[(1, 5000)]);
    assert_eq!(stretches.to_string(), "", "the boot does not count");
    stretches
}

#[test]
fn the_longest_row_of_each_kind_is_kept() {
    let mut stretches = running();
    stretch(&mut stretches, &[(0x20, 900), (0x10, 200)]);
    stretch(&mut stretches, &[(0x10, 1), (0x20, 1200), (0x10, 1)]);
    stretch(&mut stretches, &[(0x10, 1000)]);
    stretch(&mut stretches, &[(0x10, 500), (0x20, 600)]);
    stretches.executed(0x30);
    assert_eq!(stretches.to_string(), "row\n0x10 1000\nrow\n0x10 2\n0x20 1200\n");
}

#[test]
fn short_rows_are_not_kept() {
    let mut stretches = running();
    stretch(&mut stretches, &[(1, 999)]);
    stretch(&mut stretches, &[(1, 999)]);
    assert_eq!(stretches.to_string(), "");
}
