//! What of a measured path is dear on real processors, though it counts as one instruction: from the events that
//! `mkimage/plugin` tells of.
//!
//! A measurement lies between two readings of the time-stamp counter. The log separates the paths: the measuring program
//! writes its line about a path when that is done, and the kernel puts each character out by an instruction of its own. What others write in the
//! middle of a measurement belongs to it.

use serde::Serialize;

/// A program reads the time-stamp counter.
const READING: &str = "rdtsc";
/// The kernel writes a character of the log.
const LOGGED: &str = "out";
/// A processor waits: of no interest here.
const WAITING: &str = "hlt";

/// How often one pass of a path does each of these; the middle one of all measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dear {
    /// Saves the FPU state.
    pub fxsave: u64,
    /// Loads the FPU state.
    pub fxrstor: u64,
    /// Writes CR3.
    pub cr3: u64,
    /// Takes a page out of the TLB.
    pub invlpg: u64,
    /// Writes a model-specific register.
    pub wrmsr: u64,
    /// Exchanges the GS bases.
    pub swapgs: u64,
    /// Loads a data segment register.
    pub segment: u64,
    /// Changes memory atomically.
    pub atomic: u64,
}

impl Dear {
    /// The names of what is counted, as the plugin has them.
    pub const NAMES: [&str; 8] = ["fxsave", "fxrstor", "cr3", "invlpg", "wrmsr", "swapgs", "segment", "atomic"];

    /// The counts in the order of [`Dear::NAMES`].
    pub const fn counts(&self) -> [u64; 8] {
        let Self { fxsave, fxrstor, cr3, invlpg, wrmsr, swapgs, segment, atomic } = *self;
        [fxsave, fxrstor, cr3, invlpg, wrmsr, swapgs, segment, atomic]
    }

    const fn from_counts([fxsave, fxrstor, cr3, invlpg, wrmsr, swapgs, segment, atomic]: [u64; 8]) -> Self {
        Self { fxsave, fxrstor, cr3, invlpg, wrmsr, swapgs, segment, atomic }
    }
}

/// What may be wrong with a file of events.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Its last line is missing.
    #[error("the events of the run have no end: QEMU or its plugin failed")]
    Cut,
    /// It names what nobody knows.
    #[error("`{0}` is no event: the plugin is another one than this mkimage's")]
    Unknown(String),
    /// There are measurements that nothing reports, or the other way round.
    #[error("{found} paths were measured, {reported} reported")]
    Paths {
        /// So many were seen.
        found: usize,
        /// So many are in the log.
        reported: usize,
    },
    /// A measurement has no end.
    #[error("path {0} has a measurement without an end")]
    Unpaired(usize),
    /// A path was measured less often than its report says.
    #[error("path {path} was measured {found} times, its report says {reported}")]
    Measures {
        /// Its place in the log, from 1.
        path: usize,
        /// So many were seen.
        found: usize,
        /// So many were reported.
        reported: u64,
    },
}

/// Reads the events of a run in which paths were measured, each so often as `reported` says, not counting what came before to
/// warm up.
///
/// # Errors
/// That the events are incomplete or not those of such a run.
pub fn read(events: &str, reported: &[u64]) -> Result<Vec<Dear>, EventError> {
    let events = events.strip_suffix("end\n").ok_or(EventError::Cut)?;
    let lines: Vec<&str> = events.lines().collect();
    // Before the kernel's first line there are firmware and loader, which may read the counter too.
    let first = lines.iter().position(|&event| event == LOGGED).unwrap_or(lines.len());
    let mut is_measuring = false;
    let parts = lines[first..].split(|&event| {
        is_measuring ^= event == READING;
        event == LOGGED && !is_measuring
    });
    let paths: Vec<&[&str]> = parts.filter(|part| part.contains(&READING)).collect();
    if paths.len() != reported.len() {
        return Err(EventError::Paths { found: paths.len(), reported: reported.len() });
    }
    paths.iter().zip(reported).enumerate().map(|(i, (path, &n))| dear(i + 1, path, n)).collect()
}

/// The counts of a path whose last `reported` measures are asked for.
fn dear(path: usize, events: &[&str], reported: u64) -> Result<Dear, EventError> {
    if events.iter().filter(|&&event| event == READING).count() % 2 != 0 {
        return Err(EventError::Unpaired(path));
    }
    let measures = measures(events)?;
    let too_few = || EventError::Measures { path, found: measures.len(), reported };
    let n = usize::try_from(reported).ok().filter(|&n| n > 0).ok_or_else(too_few)?;
    let measured = &measures[measures.len().checked_sub(n).ok_or_else(too_few)?..];
    Ok(Dear::from_counts(std::array::from_fn(|column| {
        let mut counts: Vec<u64> = measured.iter().map(|counts| counts[column]).collect();
        counts.sort_unstable();
        counts[n / 2]
    })))
}

/// What happened in each measure: between every other pair of readings of the counter.
fn measures(events: &[&str]) -> Result<Vec<[u64; Dear::NAMES.len()]>, EventError> {
    let count = |events: &[&str]| {
        let mut counts = [0; Dear::NAMES.len()];
        for &event in events {
            let column = Dear::NAMES.iter().position(|&name| name == event);
            match column {
                Some(column) => counts[column] += 1,
                None if event == WAITING || event == LOGGED => {}
                None => return Err(EventError::Unknown(event.to_owned())),
            }
        }
        Ok(counts)
    };
    // What lies before the first reading and behind the last is measured by nobody.
    let between = events.split(|&event| event == READING);
    between.skip(1).step_by(2).map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of events: words become lines.
    fn file(words: &str) -> String {
        words.split_whitespace().map(|word| format!("{word}\n")).collect()
    }

    #[test]
    fn what_is_logged_in_the_middle_of_a_measure_does_not_end_its_path() {
        let events = "out\nrdtsc\ncr3\nout\nout\ncr3\nrdtsc\nhlt\nrdtsc\ncr3\nout\ncr3\nrdtsc\nout\nend\n";
        let dear = read(events, &[2]).unwrap();
        assert_eq!(dear, [Dear { cr3: 2, ..Dear::default() }]);
    }

    #[test]
    fn the_middle_of_the_last_measures_counts() {
        let events = file(
            "rdtsc out out wrmsr
             rdtsc fxsave rdtsc wrmsr
             rdtsc cr3 swapgs swapgs rdtsc wrmsr
             rdtsc cr3 fxsave rdtsc hlt
             rdtsc cr3 swapgs rdtsc
             out out end",
        );
        let dear = Dear { cr3: 1, swapgs: 1, ..Dear::default() };
        assert_eq!(read(&events, &[3]), Ok(vec![dear]));
    }

    #[test]
    fn the_log_separates_paths() {
        let events = file("out rdtsc atomic rdtsc out segment out rdtsc fxrstor rdtsc out end");
        let (first, second) = (Dear { atomic: 1, ..Dear::default() }, Dear { fxrstor: 1, ..Dear::default() });
        assert_eq!(read(&events, &[1, 1]), Ok(vec![first, second]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let measured = "out rdtsc cr3 rdtsc out";
        assert_eq!(read(&file(measured), &[1]), Err(EventError::Cut));
        let complete = file(&format!("{measured} end"));
        assert_eq!(read(&complete, &[]), Err(EventError::Paths { found: 1, reported: 0 }));
        assert_eq!(read(&complete, &[1, 1]), Err(EventError::Paths { found: 1, reported: 2 }));
        assert_eq!(read(&complete, &[2]), Err(EventError::Measures { path: 1, found: 1, reported: 2 }));
        assert_eq!(read(&complete, &[0]), Err(EventError::Measures { path: 1, found: 1, reported: 0 }));
        let unpaired = file("out rdtsc cr3 rdtsc rdtsc out end");
        assert_eq!(read(&unpaired, &[1]), Err(EventError::Unpaired(1)));
        let unknown = file("out rdtsc what rdtsc out end");
        assert_eq!(read(&unknown, &[1]), Err(EventError::Unknown("what".into())));
    }

    #[test]
    fn names_and_counts_have_one_order() {
        let dear = Dear::from_counts([1, 2, 3, 4, 5, 6, 7, 8]);
        let json = serde_json::to_value(dear).unwrap();
        for (name, count) in Dear::NAMES.iter().zip(dear.counts()) {
            assert_eq!(json[name], count, "{name}");
        }
    }
}
