//! Memory that several regions show.

use crate::files::Files;
use crate::frames::{Frame, Frames};
use crate::heap::bytes_for_entry;
use crate::pages::Pages;
use crate::region::Kind;
use alloc::collections::BTreeMap;

/// Memory that lives as long as a region shows some of it.
#[derive(Debug)]
pub(crate) struct Object {
    /// Its pages that are there, counted from its beginning. Each names its frame.
    pub(crate) pages: Pages,
    /// How many regions show some of it.
    pub(crate) regions: u64,
    /// How long it is, in pages.
    pub(crate) len: u64,
}

/// All of them, by numbers that never come again.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    map: BTreeMap<u64, Object>,
    last: u64,
    /// Files, which are shown by regions, too.
    pub(crate) files: Files,
}

impl Objects {
    /// The most bytes that one more allocates.
    pub(crate) const BYTES_FOR_ONE: usize = bytes_for_entry::<u64, Object>();

    /// Adds one that a region shows.
    pub(crate) fn add(&mut self, pages: Pages, len: u64) -> u64 {
        self.last += 1;
        self.map.insert(self.last, Object { pages, regions: 1, len });
        self.last
    }

    /// One of them.
    pub(crate) fn get(&self, object: u64) -> Option<&Object> {
        self.map.get(&object)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Object)> {
        self.map.iter().map(|(number, object)| (*number, object))
    }

    /// The frame of a page.
    pub(crate) fn frame(&self, object: u64, page: u64) -> Option<Frame> {
        self.map.get(&object)?.pages.get(page)
    }

    /// The most bytes that one more page allocates.
    pub(crate) fn bytes_for_page(&self, object: u64) -> usize {
        self.map.get(&object).map_or(0, |object| object.pages.bytes_for(1))
    }

    /// A page has got a frame, which it names.
    pub(crate) fn set_frame(&mut self, object: u64, page: u64, frame: Frame) {
        if let Some(object) = self.map.get_mut(&object) {
            object.pages.set(page, frame);
        }
    }

    /// One more region shows some of it.
    pub(crate) fn show(&mut self, object: u64) {
        if let Some(object) = self.map.get_mut(&object) {
            object.regions += 1;
        }
    }

    /// One more region shows a part of an object or a file, if it is of such a kind.
    pub(crate) fn show_kind(&mut self, kind: Kind) {
        match kind {
            Kind::Shared { object, .. } => self.show(object),
            Kind::File { file, .. } => self.files.show(file),
            Kind::Anonymous | Kind::Contiguous | Kind::Cache | Kind::Physical { .. } => {}
        }
    }

    /// One less does. With the last, the object goes, or the file is closed.
    pub(crate) fn hide_kind(&mut self, frames: &mut Frames, kind: Kind) {
        match kind {
            Kind::Shared { object, .. } => self.hide(frames, object),
            Kind::File { file, .. } => self.files.hide(file),
            Kind::Anonymous | Kind::Contiguous | Kind::Cache | Kind::Physical { .. } => {}
        }
    }

    fn hide(&mut self, frames: &mut Frames, object: u64) {
        let Some(entry) = self.map.get_mut(&object) else {
            return;
        };
        entry.regions -= 1;
        if entry.regions == 0 {
            entry.pages.for_each(|frame| frames.unname(frame));
            self.map.remove(&object);
        }
    }
}
