//! Frames of programs that are set aside while the programs see others in their place.

use super::{FrameKind, FrameNumber, Frames};

/// The frames of a lending that are aside, in the order of their pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aside {
    /// Link to the first.
    first: u32,
}

impl Aside {
    pub(crate) const EMPTY: Self = Self { first: 0 };

    /// Whether none is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.first == 0
    }
}

impl Frames<'_> {
    /// Whether a frame is a program's, mapped in so many places, and not pinned.
    #[inline(always)]
    pub(crate) fn is_just_mapped(&self, frame: FrameNumber, places: u32) -> bool {
        let info = self.table.get(frame.index());
        info.is_some_and(|info| info.value == places && info.pins == 0 && info.kind == FrameKind::User)
    }

    /// The same as mapped in one place, of a frame that is mapped to a program as memory, pinned or not.
    #[inline(always)]
    pub(crate) fn is_mapped_once(&self, frame: FrameNumber) -> bool {
        self.table.get(frame.index()).is_some_and(|info| info.value == 1)
    }

    /// Sets programs' frames, each of which was mapped in one place and not pinned, aside as the pages of a lending.
    #[inline(always)]
    pub(crate) fn set_aside(
        &mut self,
        frames: impl DoubleEndedIterator<Item = FrameNumber> + ExactSizeIterator,
    ) -> Aside {
        let mut first = 0;
        for (page, frame) in frames.enumerate().rev() {
            let info = &mut self.table[frame.index()];
            // A lending has fewer pages than this counts.
            (info.kind, info.pins, info.value) = (FrameKind::Aside, page as u16, first);
            first = frame.link();
        }
        Aside { first }
    }

    /// The first page whose frame is still aside.
    pub(crate) fn first_aside(&self, aside: &Aside) -> Option<u32> {
        self.all_aside(aside).next().map(|(_, page)| page)
    }

    /// All frames that are still aside, and which pages they are.
    pub(crate) fn all_aside(&self, aside: &Aside) -> impl Iterator<Item = (FrameNumber, u32)> {
        let next = |frame: &FrameNumber| FrameNumber::from_link(self.table[frame.index()].value);
        let frames = core::iter::successors(FrameNumber::from_link(aside.first), next);
        frames.map(|frame| (frame, self.table[frame.index()].pins.into()))
    }

    /// Whether the frame of a page is still aside.
    pub(crate) fn is_aside(&self, aside: &Aside, page: u32) -> bool {
        self.all_aside(aside).any(|(_, number)| number == page)
    }

    /// The frame of a page, if it is still aside: it is a program's again, mapped in one place.
    #[inline(always)]
    pub(crate) fn take_aside(&mut self, aside: &mut Aside, page: u32) -> Option<FrameNumber> {
        let mut before: Option<usize> = None;
        let mut next = aside.first;
        loop {
            let frame = FrameNumber::from_link(next)?;
            let info = self.table.get_mut(frame.index())?;
            if u32::from(info.pins) == page {
                next = info.value;
                (info.kind, info.pins, info.value) = (FrameKind::User, 0, 1);
                match before {
                    None => aside.first = next,
                    Some(before) => self.table[before].value = next,
                }
                return Some(frame);
            }
            (before, next) = (Some(frame.index()), info.value);
        }
    }
}
