//! What the driver hands over in a live update: a value with a version, in the format of `postcard`.

use serde::{Deserialize, Serialize};

/// What the driver knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// How often it was opened.
    pub opens: u32,
    /// Bytes that were read.
    pub reads: u64,
}

/// A version of the driver, by what it hands over. Besides its state that is how often its minor device is open.
pub trait Version {
    /// Writes the state into a buffer. How many bytes; `None` if there is no room.
    fn write(state: &State, open: u32, buffer: &mut [u8]) -> Option<usize>;

    /// Reads what this version or an older one has written; `None` for anything else.
    fn read(bytes: &[u8]) -> Option<(State, u32)>;
}

/// The first version.
#[derive(Clone, Copy, Debug)]
pub struct First;

/// The second one, which has counted bytes.
#[derive(Clone, Copy, Debug)]
pub struct Second;

/// What the first version hands over. Each version adds a variant at the end.
#[derive(Serialize, Deserialize)]
enum OfFirst {
    First { opens: u32, open: u32 },
}

/// What the second version hands over, and reads.
#[derive(Serialize, Deserialize)]
enum OfSecond {
    First { opens: u32, open: u32 },
    Second { opens: u32, reads: u64, open: u32 },
}

impl Version for First {
    fn write(state: &State, open: u32, buffer: &mut [u8]) -> Option<usize> {
        let value = OfFirst::First { opens: state.opens, open };
        postcard::to_slice(&value, buffer).ok().map(|used| used.len())
    }

    fn read(bytes: &[u8]) -> Option<(State, u32)> {
        let OfFirst::First { opens, open } = read_all(bytes)?;
        Some((State { opens, reads: 0 }, open))
    }
}

impl Version for Second {
    fn write(state: &State, open: u32, buffer: &mut [u8]) -> Option<usize> {
        let value = OfSecond::Second { opens: state.opens, reads: state.reads, open };
        postcard::to_slice(&value, buffer).ok().map(|used| used.len())
    }

    fn read(bytes: &[u8]) -> Option<(State, u32)> {
        Some(match read_all(bytes)? {
            OfSecond::First { opens, open } => (State { opens, reads: 0 }, open),
            OfSecond::Second { opens, reads, open } => (State { opens, reads }, open),
        })
    }
}

/// A value that takes all of the bytes.
fn read_all<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: State = State { opens: 3, reads: 1 << 40 };

    fn written<V: Version>(buffer: &mut [u8; 64]) -> &[u8] {
        let len = V::write(&STATE, 2, buffer).expect("there is room");
        &buffer[..len]
    }

    #[test]
    fn each_version_reads_itself_and_older_ones() {
        let (mut first, mut second) = ([0; 64], [0; 64]);
        let (first, second) = (written::<First>(&mut first), written::<Second>(&mut second));
        assert_eq!(First::read(first), Some((State { opens: 3, reads: 0 }, 2)));
        assert_eq!(Second::read(first), Some((State { opens: 3, reads: 0 }, 2)));
        assert_eq!(Second::read(second), Some((STATE, 2)));
        assert_eq!(First::read(second), None, "the first version knows nothing of the second");
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let mut buffer = [0; 64];
        let good = written::<Second>(&mut buffer);
        for len in 0..good.len() {
            assert_eq!(Second::read(&good[..len]), None, "{len} bytes");
        }
        let mut long = [0; 64];
        long[..good.len()].copy_from_slice(good);
        assert_eq!(Second::read(&long[..good.len() + 1]), None);
        assert_eq!(Second::read(&[9, 1, 1]), None);
        assert_eq!(Second::write(&STATE, 2, &mut [0; 3]), None);
    }
}
