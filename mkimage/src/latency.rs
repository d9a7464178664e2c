//! The longest times with interrupts off: from the rows of instructions in ring 0 that `mkimage/plugin` tells of, what each
//! of them was for.

use std::collections::BTreeMap;

/// How many functions of a row are named.
const NAMED: usize = 3;
/// Functions by which other reasons to enter the kernel are known.
const CAUSES: [(&str, &str); 5] = [
    ("Kernel<M>::exception", "exception"),
    ("Kernel<M>::memory_fault", "exception"),
    ("Kernel<M>>::tick", "timer"),
    ("Kernel<M>>::ipc", "message"),
    ("Kernel<M>>::kernel_call", "refused kernel call"),
];
const OTHER: &str = "other";

/// A time with interrupts off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it was for: a kernel call such as `kernel.exit`, or another reason to enter the kernel.
    pub cause: String,
    /// How many instructions it took.
    pub instructions: u64,
    /// The functions that took most of them, and how many each took.
    pub functions: Vec<(String, u64)>,
}

/// What may be wrong with a file of rows.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LatencyError {
    /// Its last line is missing.
    #[error("the rows of the run have no end: QEMU or its plugin failed")]
    Cut,
    /// A line that is none.
    #[error("`{0}` is no line of a row: the plugin is another one than this mkimage's")]
    Malformed(String),
}

/// The longest row for each cause, the longest of all first. `functions` gives the functions that an address belongs to, the
/// innermost first.
///
/// # Errors
/// That the file is incomplete or malformed.
pub fn read(rows: &str, mut functions: impl FnMut(u64) -> Vec<String>) -> Result<Vec<Row>, LatencyError> {
    let rows = rows.strip_suffix("end\n").ok_or(LatencyError::Cut)?;
    let mut longest: BTreeMap<String, Row> = BTreeMap::new();
    for text in rows.split("row\n").skip(1) {
        let row = row(text, &mut functions)?;
        match longest.get(&row.cause) {
            Some(known) if known.instructions >= row.instructions => {}
            _ => _ = longest.insert(row.cause.clone(), row),
        }
    }
    let mut sorted: Vec<Row> = longest.into_values().collect();
    sorted.sort_by_key(|row| std::cmp::Reverse(row.instructions));
    Ok(sorted)
}

/// A row from its lines `ADDRESS COUNT`.
fn row(text: &str, functions: &mut impl FnMut(u64) -> Vec<String>) -> Result<Row, LatencyError> {
    let mut cause = OTHER.to_owned();
    let mut rank = CAUSES.len();
    let mut instructions = 0;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for line in text.lines() {
        let (address, count) = address_and_count(line).ok_or_else(|| LatencyError::Malformed(line.to_owned()))?;
        let names = functions(address);
        instructions += count;
        *counts.entry(own(&names)).or_insert(0) += count;
        for name in &names {
            if let Some(call) = kernel_call(name) {
                (cause, rank) = (call, 0);
            } else if let Some(found) = CAUSES[..rank].iter().position(|(part, _)| name.contains(part)) {
                (cause, rank) = (CAUSES[found].1.to_owned(), found);
            }
        }
    }
    let mut functions: Vec<(String, u64)> = counts.into_iter().collect();
    functions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    functions.truncate(NAMED);
    Ok(Row { cause, instructions, functions })
}

/// The kernel call that a function carries out, such as `privctl.allow`. Its name is either
/// `<TYPE as protocol::privctl::Server>::allow` or `MODULE::<impl protocol::privctl::Server for TYPE>::allow`, or that of a
/// closure in it, which is longer.
fn kernel_call(function: &str) -> Option<String> {
    let (_, server) = function.split_once("protocol::")?;
    let (protocol, method) = server.split_once("::Server")?;
    let (_, method) = method.split_once(">::")?;
    let is_name = protocol.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| format!("{protocol}.{}", method.split("::").next().unwrap_or(method)))
}

fn address_and_count(line: &str) -> Option<(u64, u64)> {
    let (address, count) = line.split_once(' ')?;
    Some((u64::from_str_radix(address.strip_prefix("0x")?, 16).ok()?, count.parse().ok()?))
}

/// The innermost function that is the kernel's: those of Rust's own library say little.
fn own(names: &[String]) -> String {
    let is_own = |name: &&String| name.trim_start_matches('<').starts_with("kernel") && !name.contains("{{closure}}");
    names.iter().find(is_own).or(names.last()).cloned().unwrap_or_else(|| "entry and exit".to_owned())
}

/// The rows for people, a line each.
pub fn table(rows: &[Row]) -> String {
    let line = |Row { cause, instructions, functions }: &Row| {
        let parts: Vec<String> = functions.iter().map(|(name, count)| format!("{name} {count}")).collect();
        format!("{cause:20} {instructions:>8}  {}\n", parts.join(", "))
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three addresses, each in a function and what that is inlined into.
    fn functions(address: u64) -> Vec<String> {
        let names: &[&str] = match address {
            1 => {
                &["core::cmp::max", "<kernel_core::call::Context<M> as protocol::kernel::Server>::exit", "kernel::main"]
            }
            2 => &["kernel_core::ipc::<impl kernel_core::Kernel<M>>::ipc"],
            3 => &["core::fmt::write"],
            _ => &[],
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn each_cause_has_its_longest_row() {
        let rows = "row\n0x2 30\nrow\n0x1 5\n0x3 9\n0x4 1\nrow\n0x2 20\nrow\n0x3 8\nend\n";
        let rows = read(rows, functions).unwrap();
        let causes: Vec<_> = rows.iter().map(|row| (row.cause.as_str(), row.instructions)).collect();
        assert_eq!(causes, [("message", 30), ("kernel.exit", 15), ("other", 8)]);
        let names: Vec<_> = rows[1].functions.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        let exit = "<kernel_core::call::Context<M> as protocol::kernel::Server>::exit";
        assert_eq!(names, [("core::fmt::write", 9), (exit, 5), ("entry and exit", 1)]);
        assert!(table(&rows).starts_with("message "));
    }

    #[test]
    fn kernel_calls_are_known_by_their_functions() {
        let context = "kernel_core::call::Context<M>";
        for (function, call) in [
            (format!("<{context} as protocol::kernel::Server>::exit"), Some("kernel.exit")),
            (
                format!("kernel_core::call::server::<impl protocol::kernel::Server for {context}>::exit"),
                Some("kernel.exit"),
            ),
            (
                format!("x::<impl protocol::privctl::Server for {context}>::set_sys::{{{{closure}}}}"),
                Some("privctl.set_sys"),
            ),
            ("protocol::kernel::dispatch".to_owned(), None),
            ("protocol::call::handle".to_owned(), None),
            (format!("{context}::dispatch"), None),
        ] {
            assert_eq!(kernel_call(&function).as_deref(), call, "{function}");
        }
    }

    #[test]
    fn a_kernel_call_in_which_something_else_goes_on_is_the_cause() {
        let both = |address| match address {
            1 => functions(1),
            _ => vec!["kernel_core::Kernel<M>::exception".to_owned()],
        };
        for order in ["row\n0x1 1\n0x2 1\nend\n", "row\n0x0 1\n0x1 1\nend\n"] {
            assert_eq!(read(order, both).unwrap()[0].cause, "kernel.exit");
        }
    }

    #[test]
    fn incomplete_and_odd_files_are_refused() {
        assert_eq!(read("row\n0x1 1\n", functions), Err(LatencyError::Cut));
        for odd in ["1 1", "0x1", "0x1 x", "0xg 1", ""] {
            let file = format!("row\n{odd}\nend\n");
            assert_eq!(read(&file, functions), Err(LatencyError::Malformed(odd.to_owned())), "{odd}");
        }
        assert_eq!(read("end\n", functions), Ok(Vec::new()));
    }
}
