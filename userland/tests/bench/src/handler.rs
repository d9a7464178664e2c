//! A signal manager that lets everybody go on whose signal it gets.
#![no_std]
#![no_main]

use abi::Endpoint;
use abi::event::SystemEvent;
use protocol::kernel::EndKSig;

sys::entry!(main);

fn main() -> u64 {
    loop {
        let Ok(received) = rt::receive(Endpoint::ANY) else {
            return 1;
        };
        let signaled = SystemEvent::read(&received.message.body).signaled;
        let is_from_kernel = received.status.is_notification() && received.message.peer == Endpoint::SYSTEM;
        if let Some((process, _)) = signaled.filter(|_| is_from_kernel)
            && sys::kernel().endksig(EndKSig { process }).is_err()
        {
            return 2;
        }
    }
}
