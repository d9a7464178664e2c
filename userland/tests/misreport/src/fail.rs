//! Has a test that fails, and says so.
#![no_std]
#![no_main]

mod tests {
    use suite::{Outcome, fail};

    pub(crate) fn first() -> Outcome {
        Ok(())
    }

    pub(crate) fn second() -> Outcome {
        fail!("on purpose")
    }
}

suite::suite! {
    tests { first, second }
}
