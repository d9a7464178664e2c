//! The echo server.
#![no_std]
#![no_main]

sys::entry!(main);

fn main() -> u64 {
    let stopped = sys::serve(&mut echo::Echo::new(), protocol::echo::answer);
    sys::log!("cannot receive any more: {}; {} answers had failed", stopped.error, stopped.failed_replies);
    1
}
