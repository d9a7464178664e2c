//! The echo service: the smallest server there is.

crate::protocol! {
    echo = 0x7000;

    /// Sends the words back, in reverse order.
    1 fn reverse(Reverse { words: [u64; 7] }) -> Reversed { words: [u64; 7] };
    /// How many calls of the caller it has answered before this one.
    2 fn count(Count {}) -> Counted { calls: u64 };
}
