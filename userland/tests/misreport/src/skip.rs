//! Has a test that it skips, and says so.
#![no_std]
#![no_main]

mod tests {
    use suite::{Outcome, skip};

    pub(crate) fn first() -> Outcome {
        Ok(())
    }

    pub(crate) fn second() -> Outcome {
        skip!("on purpose")
    }
}

suite::suite! {
    tests { first, second }
}
