//! The figures of runs of the measuring images, see `userland/tests/bench`.

use crate::events::{self, Dear, EventError};
use serde::Serialize;

/// The manifests of the measuring images, in the order of their figures: the kernel's paths, the memory server's, the data store's, and those of services that die and are replaced.
pub const MANIFESTS: [&str; 4] = [
    "userland/tests/bench/image.toml",
    "userland/tests/bench/vm.toml",
    "userland/tests/bench/ds.toml",
    "userland/tests/bench/services.toml",
];

/// The process that measures.
const REPORTER: &str = "bench: ";

/// What one path costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// Name of the path.
    pub name: String,
    /// The middle one of all measures.
    pub median: u64,
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
    /// How many measures there were.
    pub n: u64,
    /// What is counted.
    pub unit: &'static str,
    /// What of it is dear on real processors.
    #[serde(flatten)]
    pub dear: Dear,
}

impl Figure {
    /// Of a figure that shows how a cost grows, `PATH@COUNT`: the path, and how many regions or pages there were. It is the cost of
    /// one of them.
    #[must_use]
    pub fn growth(&self) -> Option<(&str, u64)> {
        let (path, count) = self.name.split_once('@')?;
        Some((path, count.parse().ok()?))
    }
}

/// Why a run has no figures.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BenchError {
    /// The measuring program did not come to its end.
    #[error("the measuring program did not finish; its last line: {0}")]
    Unfinished(String),
    /// A line that should be a figure is none.
    #[error("this is no figure: {0}")]
    Malformed(String),
    /// What was watched does not fit the log.
    #[error(transparent)]
    Events(#[from] EventError),
}

/// The figures of a run, in their order: from its log, and from what the plugin wrote.
///
/// # Errors
/// That the run was not finished, a figure is malformed, or the events are not those of the figures.
pub fn read(serial: &str, events: &str) -> Result<Vec<Figure>, BenchError> {
    let mut figures = Vec::new();
    let mut last = "(none)";
    for line in serial.lines().filter_map(|line| line.trim_end().strip_prefix(REPORTER)) {
        last = line;
        if line == "done" {
            let counts: Vec<u64> = figures.iter().map(|figure: &Figure| figure.n).collect();
            for (figure, dear) in figures.iter_mut().zip(events::read(events, &counts)?) {
                figure.dear = dear;
            }
            return Ok(figures);
        }
        if let Some(rest) = line.strip_prefix("result ") {
            figures.push(figure(rest).ok_or_else(|| BenchError::Malformed(line.to_owned()))?);
        }
    }
    Err(BenchError::Unfinished(last.to_owned()))
}

/// The path that is told of on four processors, too.
const TOLD: &str = "ipc.roundtrip";

/// Whether an image's figures on four processors have anything to tell.
pub fn told_on_four_processors(figures: &[Figure]) -> bool {
    figures.iter().any(|figure| figure.name == TOLD)
}

/// What is told of a run on four processors, under names of its own: the programs run on one of them, the others wait.
pub fn on_four_processors(figures: Vec<Figure>) -> impl Iterator<Item = Figure> {
    figures
        .into_iter()
        .filter(|figure| figure.name == TOLD)
        .map(|figure| Figure { name: format!("{TOLD}.smp4"), ..figure })
}

/// `NAME MEDIAN MIN MAX N`.
fn figure(text: &str) -> Option<Figure> {
    let mut words = text.split(' ');
    let name = words.next()?.to_owned();
    let mut number = || words.next()?.parse().ok();
    let (median, min, max, n) = (number()?, number()?, number()?, number()?);
    let figure = Figure { name, median, min, max, n, unit: "instructions", dear: Dear::default() };
    words.next().is_none().then_some(figure)
}

/// The figures for people.
pub fn table(figures: &[Figure]) -> String {
    let mut text = format!("{:24} {:>8} {:>8} {:>8} {:>6}", "path", "median", "min", "max", "n");
    for name in Dear::NAMES {
        text += &format!(" {name:>7}");
    }
    for Figure { name, median, min, max, n, unit: _, dear } in figures {
        text += &format!("\n{name:24} {median:>8} {min:>8} {max:>8} {n:>6}");
        for count in dear.counts() {
            text += &format!(" {count:>7}");
        }
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_in_order() {
        let log =
            "selix: up\nbench: result a.b 3 1 9 2\r\nother: result x 1 1 1 1\nbench: result c 5 5 5 1\nbench: done\n";
        let events = "out\nrdtsc\nrdtsc\nrdtsc\nrdtsc\nout\nrdtsc\ncr3\nrdtsc\nout\nend\n";
        let figures = read(log, events).unwrap();
        let [a, c] = figures.as_slice() else { panic!("{figures:?}") };
        assert_eq!((a.name.as_str(), a.median, a.min, a.max, a.n, a.dear.cr3), ("a.b", 3, 1, 9, 2, 0));
        assert_eq!((c.name.as_str(), c.dear.cr3), ("c", 1));
        assert!(table(&figures).lines().nth(1).unwrap().starts_with("a.b "));
    }

    #[test]
    fn names_tell_of_growth() {
        let log = "bench: result a 3 1 9 1\nbench: result b.c@16 3 1 9 1\nbench: result d@x 3 1 9 1\nbench: done\n";
        let events = "out\nrdtsc\nrdtsc\nout\nrdtsc\nrdtsc\nout\nrdtsc\nrdtsc\nout\nend\n";
        let figures = read(log, events).unwrap();
        let growth: Vec<_> = figures.iter().map(Figure::growth).collect();
        assert_eq!(growth, [None, Some(("b.c", 16)), None]);
    }

    #[test]
    fn the_counts_stand_beside_the_figure() {
        let dear = Dear { fxrstor: 2, ..Dear::default() };
        let figure = Figure { name: "a".into(), median: 1, min: 1, max: 1, n: 1, unit: "instructions", dear };
        let json = serde_json::to_value(&figure).unwrap();
        assert_eq!((&json["name"], &json["fxrstor"], &json["wrmsr"]), (&"a".into(), &2.into(), &0.into()));
    }

    #[test]
    fn logs_without_an_end_or_with_odd_lines_are_refused() {
        assert_eq!(read("", ""), Err(BenchError::Unfinished("(none)".into())));
        let cut = read("bench: result a 1 1 1 1\n", "end\n");
        assert_eq!(cut, Err(BenchError::Unfinished("result a 1 1 1 1".into())));
        for odd in ["result a 1 1 1", "result a 1 1 1 1 1", "result a -1 1 1 1", "result a 1 1 1 x"] {
            let log = format!("bench: {odd}\nbench: done\n");
            assert_eq!(read(&log, "end\n"), Err(BenchError::Malformed(odd.into())));
        }
        let unwatched = read("bench: result a 1 1 1 1\nbench: done\n", "");
        assert_eq!(unwatched, Err(BenchError::Events(EventError::Cut)));
    }
}
