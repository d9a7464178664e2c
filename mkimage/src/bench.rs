//! The figures of a run of the measuring image, see `userland/tests/bench`.

use serde::Serialize;

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
}

/// Why a log has no figures.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BenchError {
    /// The measuring program did not come to its end.
    #[error("the measuring program did not finish; its last line: {0}")]
    Unfinished(String),
    /// A line that should be a figure is none.
    #[error("this is no figure: {0}")]
    Malformed(String),
}

/// The figures in the log of a run, in their order.
///
/// # Errors
/// That the run was not finished, or a figure is malformed.
pub fn read(serial: &str) -> Result<Vec<Figure>, BenchError> {
    let mut figures = Vec::new();
    let mut last = "(none)";
    for line in serial.lines().filter_map(|line| line.trim_end().strip_prefix(REPORTER)) {
        last = line;
        if line == "done" {
            return Ok(figures);
        }
        if let Some(rest) = line.strip_prefix("result ") {
            figures.push(figure(rest).ok_or_else(|| BenchError::Malformed(line.to_owned()))?);
        }
    }
    Err(BenchError::Unfinished(last.to_owned()))
}

/// `NAME MEDIAN MIN MAX N`.
fn figure(text: &str) -> Option<Figure> {
    let mut words = text.split(' ');
    let name = words.next()?.to_owned();
    let mut number = || words.next()?.parse().ok();
    let (median, min, max, n) = (number()?, number()?, number()?, number()?);
    words.next().is_none().then_some(Figure { name, median, min, max, n, unit: "instructions" })
}

/// The figures for people.
pub fn table(figures: &[Figure]) -> String {
    let mut text = format!("{:24} {:>8} {:>8} {:>8} {:>6}  unit\n", "path", "median", "min", "max", "n");
    for Figure { name, median, min, max, n, unit } in figures {
        text += &format!("{name:24} {median:>8} {min:>8} {max:>8} {n:>6}  {unit}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_in_order() {
        let log = "selix: up\nbench: result a.b 3 1 9 1000\r\nother: result x 1 1 1 1\nbench: result c 5 5 5 10\nbench: done\n";
        let figures = read(log).unwrap();
        let [a, c] = figures.as_slice() else { panic!("{figures:?}") };
        assert_eq!((a.name.as_str(), a.median, a.min, a.max, a.n), ("a.b", 3, 1, 9, 1000));
        assert_eq!(c.name, "c");
        assert!(table(&figures).lines().nth(1).unwrap().starts_with("a.b "));
    }

    #[test]
    fn logs_without_an_end_or_with_odd_lines_are_refused() {
        assert_eq!(read(""), Err(BenchError::Unfinished("(none)".into())));
        let cut = read("bench: result a 1 1 1 1\n");
        assert_eq!(cut, Err(BenchError::Unfinished("result a 1 1 1 1".into())));
        for odd in ["result a 1 1 1", "result a 1 1 1 1 1", "result a -1 1 1 1", "result a 1 1 1 x"] {
            let log = format!("bench: {odd}\nbench: done\n");
            assert_eq!(read(&log), Err(BenchError::Malformed(odd.into())));
        }
    }
}
