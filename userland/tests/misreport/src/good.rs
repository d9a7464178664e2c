//! Reports as it should: the measure for the others.
#![no_std]
#![no_main]

mod tests {
    use suite::Outcome;

    pub(crate) fn first() -> Outcome {
        Ok(())
    }

    pub(crate) fn second() -> Outcome {
        Ok(())
    }
}

suite::suite! {
    tests { first, second }
}
