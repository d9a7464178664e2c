//! The frame table against a simple model: a kind and a count for each frame, and a stack of the free ones.

use abi::layout::PAGE_SIZE;
use kernel_core::frames::{FrameError, FrameInfo, FrameKind, FrameNumber, Frames};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::ops::Range;

/// Frames of the table.
const FRAMES: usize = 24;

#[derive(Clone, Debug)]
enum Step {
    AddKernel(Range<u64>),
    AddFree(Range<u64>),
    Reclaim(Range<u64>),
    TakeForTable,
    TakeForUser,
    Map(u64),
    Unmap(u64),
    ReleaseUser(u64),
    FreeTable(u64),
}

/// What must come of a step: frames as addresses.
type Outcome = Result<Option<u64>, FrameError>;

#[derive(Debug)]
struct Model {
    kinds: [FrameKind; FRAMES],
    mappings: [u32; FRAMES],
    /// Free frames; the last one is taken first.
    free: Vec<usize>,
}

impl Model {
    fn new() -> Self {
        Self { kinds: [FrameKind::Reserved; FRAMES], mappings: [0; FRAMES], free: Vec::new() }
    }

    /// Frames of which every byte lies in the range.
    fn inside(range: &Range<u64>) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let range = range.clone();
        (0..FRAMES).filter(move |&i| {
            let start = i as u64 * PAGE_SIZE;
            range.start <= start && start + PAGE_SIZE <= range.end
        })
    }

    fn release(&mut self, i: usize) {
        self.kinds[i] = FrameKind::Free;
        self.free.push(i);
    }

    fn release_all(&mut self, range: &Range<u64>, kind: FrameKind) -> Outcome {
        for i in Self::inside(range).rev() {
            if self.kinds[i] == kind {
                self.release(i);
            }
        }
        Ok(None)
    }

    fn take(&mut self, kind: FrameKind) -> Outcome {
        let taken = self.free.pop();
        if let Some(i) = taken {
            (self.kinds[i], self.mappings[i]) = (kind, 0);
        }
        Ok(taken.map(|i| i as u64 * PAGE_SIZE))
    }

    /// The index of a frame that must be of this kind.
    fn expect(&self, frame: u64, kind: FrameKind) -> Result<usize, FrameError> {
        let found = *self.kinds.get(frame as usize).ok_or(FrameError::OutOfRange)?;
        if found == kind { Ok(frame as usize) } else { Err(FrameError::WrongKind(found)) }
    }

    fn step(&mut self, step: &Step) -> Outcome {
        match *step {
            Step::AddKernel(ref range) => {
                Self::inside(range)
                    .filter(|&i| self.kinds[i] == FrameKind::Reserved)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .for_each(|i| self.kinds[i] = FrameKind::Kernel);
                Ok(None)
            }
            Step::AddFree(ref range) => self.release_all(range, FrameKind::Reserved),
            Step::Reclaim(ref range) => self.release_all(range, FrameKind::Kernel),
            Step::TakeForTable => self.take(FrameKind::PageTable),
            Step::TakeForUser => self.take(FrameKind::User),
            Step::Map(frame) => {
                let i = self.expect(frame, FrameKind::User)?;
                self.mappings[i] += 1;
                Ok(None)
            }
            Step::Unmap(frame) => {
                let i = self.expect(frame, FrameKind::User)?;
                match self.mappings[i] {
                    0 => return Err(FrameError::Count),
                    1 => self.release(i),
                    _ => {}
                }
                self.mappings[i] -= 1;
                Ok(None)
            }
            Step::ReleaseUser(frame) => {
                let i = self.expect(frame, FrameKind::User)?;
                if self.mappings[i] > 0 {
                    return Err(FrameError::Mapped);
                }
                self.release(i);
                Ok(None)
            }
            Step::FreeTable(frame) => {
                let i = self.expect(frame, FrameKind::PageTable)?;
                self.release(i);
                Ok(None)
            }
        }
    }
}

fn number(frame: u64) -> FrameNumber {
    FrameNumber::containing(frame * PAGE_SIZE).expect("small enough")
}

fn real_step(frames: &mut Frames<'_>, step: &Step) -> Outcome {
    let taken = |frame: Option<FrameNumber>| Ok(frame.map(FrameNumber::address));
    let done = |result: Result<(), FrameError>| result.map(|()| None);
    match step.clone() {
        Step::AddKernel(range) => {
            frames.add_kernel(range);
            Ok(None)
        }
        Step::AddFree(range) => {
            frames.add_free(range);
            Ok(None)
        }
        Step::Reclaim(range) => {
            frames.reclaim(range);
            Ok(None)
        }
        Step::TakeForTable => taken(frames.take_for_table()),
        Step::TakeForUser => taken(frames.take_for_user()),
        Step::Map(frame) => done(frames.map(number(frame))),
        Step::Unmap(frame) => done(frames.unmap(number(frame))),
        Step::ReleaseUser(frame) => done(frames.release(number(frame))),
        Step::FreeTable(frame) => done(frames.free_table(number(frame))),
    }
}

/// Short ranges that may begin and end anywhere, and some that no table could hold.
fn range() -> impl Strategy<Value = Range<u64>> {
    let limit = (FRAMES as u64 + 2) * PAGE_SIZE;
    let near = (0..limit, 0..6 * PAGE_SIZE).prop_map(|(start, len)| start..start + len);
    let whole = (0..FRAMES as u64, 0_u64..6).prop_map(|(first, n)| first * PAGE_SIZE..(first + n) * PAGE_SIZE);
    prop_oneof![8 => near, 8 => whole, 1 => (any::<u64>(), any::<u64>()).prop_map(|(start, end)| start..end)]
}

fn step() -> impl Strategy<Value = Step> {
    let frame = || prop_oneof![20 => 0..FRAMES as u64, 1 => FRAMES as u64..1 << 32];
    prop_oneof![
        1 => range().prop_map(Step::AddKernel),
        1 => range().prop_map(Step::AddFree),
        1 => range().prop_map(Step::Reclaim),
        2 => Just(Step::TakeForTable),
        6 => Just(Step::TakeForUser),
        6 => frame().prop_map(Step::Map),
        6 => frame().prop_map(Step::Unmap),
        2 => frame().prop_map(Step::ReleaseUser),
        2 => frame().prop_map(Step::FreeTable),
    ]
}

fn config() -> ProptestConfig {
    let cases = if std::env::var_os("SELIX_SOAK").is_some() { 10_000 } else { 500 };
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(64), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_frame_table_does_what_the_model_does(steps in prop::collection::vec(step(), 1..200)) {
        let mut table = vec![FrameInfo::RESERVED; FRAMES];
        let mut frames = Frames::new(&mut table);
        let mut model = Model::new();
        for step in steps {
            prop_assert_eq!(real_step(&mut frames, &step), model.step(&step), "{:?}", step);
            prop_assert_eq!(frames.free_count(), model.free.len());
            for (i, &kind) in model.kinds.iter().enumerate() {
                prop_assert_eq!(frames.kind(number(i as u64)), Ok(kind), "frame {} after {:?}", i, step);
            }
        }
    }
}

#[test]
fn there_is_no_number_beyond_16_tib() {
    assert_eq!(FrameNumber::containing((1 << 44) - 1).map(FrameNumber::address), Some((1 << 44) - PAGE_SIZE));
    assert_eq!(FrameNumber::containing(1 << 44), None);
    assert_eq!(FrameNumber::containing(u64::MAX), None);
}

#[test]
fn errors_say_what_is_wrong() {
    for (error, word) in [
        (FrameError::OutOfRange, "no such frame"),
        (FrameError::WrongKind(FrameKind::PageTable), "PageTable"),
        (FrameError::Mapped, "still mapped"),
        (FrameError::Count, "count"),
    ] {
        assert!(error.to_string().contains(word), "{error}");
    }
}
