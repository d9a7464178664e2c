//! How the costs grow with the number of regions and of pages. Each figure is what one of them costs.

use crate::family::Family;
use crate::memory::{Area, Memory};
use abi::Errno;
use bench::{Trouble, report_some, timed};
use static_cell::ConstStaticCell;

/// How many there are.
const COUNTS: [u64; 4] = [1, 16, 256, MOST as u64];
const MOST: usize = 4096;
/// Where few are measured at once, that is done so often.
const SAMPLES: usize = 64;

/// What has been mapped.
static AREAS: ConstStaticCell<[Area; MOST]> = ConstStaticCell::new([Area { start: 0, pages: 0 }; MOST]);

/// Measures everything with as many regions of a page each, and as many pages of one region.
pub(crate) fn measure(memory: &mut Memory, family: &mut Family) -> Result<(), Trouble> {
    let areas = AREAS.take();
    for count in COUNTS {
        Series { what: "regions", count, areas: &mut areas[..count as usize], pages: 1 }.measure(memory, family)?;
    }
    for count in COUNTS {
        Series { what: "pages", count, areas: &mut areas[..1], pages: count }.measure(memory, family)?;
    }
    Ok(())
}

/// So many of something.
struct Series<'a> {
    what: &'static str,
    count: u64,
    /// As many regions,
    areas: &'a mut [Area],
    /// of so many pages.
    pages: u64,
}

impl Series<'_> {
    fn measure(&mut self, memory: &mut Memory, family: &mut Family) -> Result<(), Trouble> {
        self.report("mmap", |series| {
            let cost = timed(|| series.map(memory))?;
            series.unmap(memory)?;
            Ok(cost)
        })?;
        self.report("fault", |series| {
            series.map(memory)?;
            let cost = timed(|| series.fill())?;
            series.unmap(memory)?;
            Ok(cost)
        })?;
        self.report("munmap", |series| {
            series.map(memory)?;
            series.fill()?;
            timed(|| series.unmap(memory))
        })?;
        self.map(memory)?;
        self.fill()?;
        self.report("fork", |_| family.fork_and_wait())?;
        self.unmap(memory)?;
        Ok(())
    }

    /// Reports what a path costs for each.
    fn report(&mut self, path: &str, mut cost: impl FnMut(&mut Self) -> Result<u32, Trouble>) -> Result<(), Trouble> {
        let Self { what, count, .. } = *self;
        let samples = (MOST / count as usize).min(SAMPLES);
        report_some(format_args!("{path}.{what}@{count}"), 1, &mut [0; SAMPLES][..samples], |_| {
            Ok(cost(self)?.div_ceil(count as u32))
        })
    }

    fn map(&mut self, memory: &mut Memory) -> Result<(), Errno> {
        let pages = self.pages;
        self.areas.iter_mut().try_for_each(|area| memory.map(pages).map(|mapped| *area = mapped))
    }

    fn unmap(&mut self, memory: &mut Memory) -> Result<(), Errno> {
        self.areas.iter().try_for_each(|area| memory.unmap(*area))
    }

    fn fill(&self) -> Result<(), Errno> {
        self.areas.iter().for_each(|area| area.fill());
        Ok(())
    }
}

/// What something costs.
fn timed(act: impl FnOnce() -> Result<(), Errno>) -> Result<u32, Trouble> {
    let before = timed::now();
    act()?;
    Ok(timed::now().wrapping_sub(before) as u32)
}
