//! What the suite has an actor do. Calls of the data store an actor hands on as they are, and their answers back.
#![no_std]

pub mod orders {
    //! The calls of an actor.

    use abi::Endpoint;
    use abi::grant::GrantId;

    protocol::protocol! {
        actor = 0x7400;

        /// Lends the actor's pages to the data store, to be read, written and mapped; what was lent before is taken back.
        1 fn lend(Lend {}) -> Lent { grant: GrantId };
        /// Takes them back.
        2 fn take_back(TakeBack {}) -> TakenBack {};
        /// Writes a word of them.
        3 fn write(Write { word: u64, value: u64 }) -> Written {};
        /// Reads a word of them.
        4 fn read(Read { word: u64 }) -> WordRead { value: u64 };
        /// Shows the first page of what somebody has granted. The error of the call, if it fails.
        5 fn show(Show { granter: Endpoint, reserved: u32, grant: GrantId }) -> Shown {};
        /// Reads a word of the page that is shown.
        6 fn look(Look { word: u64 }) -> Seen { value: u64 };
        /// Writes a word of the page that is shown. If that must not be, there is no answer.
        7 fn touch(Touch { word: u64, value: u64 }) -> Touched {};
        /// Shows it no more.
        8 fn hide(Hide {}) -> Hidden {};
        /// How often the data store has notified the actor since this was asked last.
        9 fn notices(GetNotices {}) -> Notices { count: u64 };
        /// Ends the actor, without an answer.
        10 fn leave(Leave {}) -> Left {};
    }
}

/// The actors. The last two end.
pub const ACTORS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Pages that an actor lends.
pub const PAGES: usize = 2;
