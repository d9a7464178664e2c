//! Steps that no test outside can bring about or see as well.

extern crate std;
use super::*;
use std::vec::Vec;

const P: u64 = PAGE_SIZE;

fn table(frames: usize) -> Vec<FrameInfo> {
    std::vec![FrameInfo::RESERVED; frames]
}

#[test]
fn only_whole_frames_inside_the_table_become_free() {
    let mut t = table(8);
    let mut f = Frames::new(&mut t);
    f.add_free(P - 1..3 * P + 5);
    assert_eq!(f.free_count(), 2);
    f.add_free(6 * P..100 * P);
    assert_eq!(f.free_count(), 4);
    f.add_free(u64::MAX - P..u64::MAX);
    f.add_free(5 * P + 1..5 * P + 2);
    assert_eq!(f.free_count(), 4);
    f.add_free(0..8 * P);
    assert_eq!(f.free_count(), 8, "frames that are free already are not counted twice");
}

#[test]
fn every_frame_is_handed_out_once_lowest_first() {
    let mut t = table(16);
    let mut f = Frames::new(&mut t);
    f.add_free(0..16 * P);
    let taken: Vec<_> = core::iter::from_fn(|| f.take_for_user()).map(FrameNumber::address).collect();
    assert_eq!(taken, (0..16).map(|i| i * P).collect::<Vec<_>>());
    assert_eq!(f.take_for_table(), None);
}

#[test]
fn a_frame_comes_back_with_its_last_mapping() {
    let mut t = table(1);
    let mut f = Frames::new(&mut t);
    f.add_free(0..P);
    let frame = f.take_for_user().unwrap();
    f.map(frame).unwrap();
    f.map(frame).unwrap();
    assert_eq!(f.release(frame), Err(FrameError::Mapped));
    f.unmap(frame).unwrap();
    assert_eq!(f.free_count(), 0);
    f.unmap(frame).unwrap();
    assert_eq!((f.free_count(), f.kind(frame)), (1, Ok(FrameKind::Free)));
}

#[test]
fn no_step_fits_a_frame_of_another_kind() {
    let mut t = table(4);
    let mut f = Frames::new(&mut t);
    f.add_free(0..2 * P);
    f.add_kernel(2 * P..3 * P);
    let (user, page_table) = (f.take_for_user().unwrap(), f.take_for_table().unwrap());
    let (kernel, hole, outside) = (FrameNumber(2), FrameNumber(3), FrameNumber(4));
    for (frame, kind) in [(page_table, FrameKind::PageTable), (kernel, FrameKind::Kernel), (hole, FrameKind::Reserved)]
    {
        let wrong = Err(FrameError::WrongKind(kind));
        assert_eq!((f.map(frame), f.unmap(frame), f.release(frame)), (wrong, wrong, wrong));
    }
    for (frame, kind) in [(user, FrameKind::User), (kernel, FrameKind::Kernel), (hole, FrameKind::Reserved)] {
        assert_eq!(f.free_table(frame), Err(FrameError::WrongKind(kind)));
    }
    assert_eq!(f.map(outside), Err(FrameError::OutOfRange));
    assert_eq!(f.unmap(user), Err(FrameError::Count));
    f.release(user).unwrap();
    assert_eq!(f.release(user), Err(FrameError::WrongKind(FrameKind::Free)));
    f.free_table(page_table).unwrap();
    assert_eq!(f.free_table(page_table), Err(FrameError::WrongKind(FrameKind::Free)));
    assert_eq!(f.free_count(), 2);
}

#[test]
fn a_count_at_its_end_does_not_wrap() {
    let mut t = table(1);
    let mut f = Frames::new(&mut t);
    f.add_free(0..P);
    let frame = f.take_for_user().unwrap();
    (f.table[0].value, f.table[0].pins) = (u32::MAX - 1, u16::MAX - 1);
    assert_eq!((f.map(frame), f.pin(frame)), (Ok(()), Ok(())));
    assert_eq!((f.map(frame), f.pin(frame)), (Err(FrameError::Count), Err(FrameError::Count)));
    assert_eq!((f.info(frame).unwrap().mappings(), f.info(frame).unwrap().pins()), (u32::MAX, u16::MAX));
    assert_eq!((f.unmap(frame), f.unpin(frame)), (Ok(()), Ok(())));
}

#[test]
fn a_frame_goes_back_to_whom_it_came_from() {
    let mut t = table(4);
    let mut f = Frames::new(&mut t);
    f.add_free(0..4 * P);
    assert_eq!(f.claim(2), Some((FrameNumber(0), 2)));
    let (table, user) = (FrameNumber(0), FrameNumber(1));
    f.make_table(table).unwrap();
    f.make_user(user).unwrap();
    f.map(user).unwrap();
    f.unmap(user).unwrap();
    assert_eq!(f.kind(user), Ok(FrameKind::User), "it keeps what it holds");
    f.release(user).unwrap();
    f.free_table(table).unwrap();
    assert_eq!((f.kind(table), f.kind(user)), (Ok(FrameKind::Idle), Ok(FrameKind::Idle)));
    assert_eq!((f.take_for_table(), f.take_for_user()), (Some(FrameNumber(2)), Some(FrameNumber(3))));
    f.free_table(FrameNumber(2)).unwrap();
    f.map(FrameNumber(3)).unwrap();
    f.pin(FrameNumber(3)).unwrap();
    f.unmap(FrameNumber(3)).unwrap();
    assert_eq!(f.free_count(), 1, "a device may still write to it");
    f.unpin(FrameNumber(3)).unwrap();
    assert_eq!(f.free_count(), 2);
}

#[test]
fn a_claim_is_a_row_of_neighbours() {
    let mut t = table(16);
    let mut f = Frames::new(&mut t);
    f.add_kernel(5 * P..6 * P);
    f.add_free(0..16 * P);
    assert_eq!(f.claim(3), Some((FrameNumber(0), 3)));
    assert_eq!(f.claim(9), Some((FrameNumber(3), 2)), "frame 5 is the kernel's");
    assert_eq!(f.claim(u32::MAX), Some((FrameNumber(6), 10)));
    assert_eq!((f.claim(1), f.free_count()), (None, 0));
}

#[test]
fn boot_memory_can_be_reclaimed_once() {
    let mut t = table(4);
    let mut f = Frames::new(&mut t);
    f.add_kernel(0..4 * P);
    f.reclaim(P..3 * P);
    f.reclaim(P..3 * P);
    assert_eq!(f.free_count(), 2);
}

#[test]
fn a_file_is_handed_over_whole_or_not_at_all() {
    let mut t = table(8);
    let mut f = Frames::new(&mut t);
    f.add_kernel(P..5 * P);
    f.add_free(0..8 * P);
    assert_eq!(f.hand_over(4 * P..5 * P + 1), Err(FrameError::WrongKind(FrameKind::Free)));
    assert_eq!(f.hand_over(4 * P..100 * P), Err(FrameError::OutOfRange));
    assert_eq!(f.hand_over(4 * P..4 * P), Err(FrameError::OutOfRange));
    assert_eq!(f.hand_over(2 * P..3 * P + 1), Ok(FrameNumber(2)));
    let kinds: Vec<_> = (1..5).map(|i| f.kind(FrameNumber(i)).unwrap()).collect();
    assert_eq!(kinds, [FrameKind::Kernel, FrameKind::User, FrameKind::User, FrameKind::Kernel]);
    // It is the memory server's then: not boot memory any more, and idle when it is released.
    f.reclaim(0..8 * P);
    assert_eq!(f.release(FrameNumber(2)), Ok(()));
    assert_eq!(f.kind(FrameNumber(2)), Ok(FrameKind::Idle));
}
