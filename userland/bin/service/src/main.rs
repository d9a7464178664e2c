//! The command `service`: see [`service`].
#![no_std]
#![no_main]

use abi::{Endpoint, Errno};
use core::fmt;
use protocol::rs::{Up, UpDone};
use protocol::{Call, vm};
use service::System;
use sys::Ipc;
use sys::grants::scope;

sys::entry!(main);

fn main() -> u64 {
    // Whoever has begun already is no service, but a user.
    match sef::start() {
        Ok(_) | Err(Errno::Perm) => {}
        Err(error) => return failed(error),
    }
    match sys::whoami() {
        Ok(identity) => service::run(&mut Kernel { root: identity.root, pager: None }, sys::arguments().skip(1)),
        Err(error) => failed(error),
    }
}

fn failed(error: Errno) -> u64 {
    sys::log!("cannot begin: {error}");
    error as u64
}

/// The real one.
struct Kernel {
    root: Endpoint,
    /// The memory server, when it has been looked for.
    pager: Option<Result<Endpoint, Errno>>,
}

impl System for Kernel {
    fn ask<C: Call>(&mut self, call: &C) -> Result<C::Reply, Errno> {
        protocol::call(&mut Ipc::default(), self.root, call)
    }

    fn up(&mut self, mut call: Up, arguments: &str) -> Result<UpDone, Errno> {
        let (text, root) = (arguments.as_bytes(), self.root);
        scope(|scope| {
            let lent = scope.read(text, root)?;
            (call.arguments, call.len) = (lent.id(), text.len() as u64);
            self.ask(&call)
        })
    }

    fn pages(&mut self, process: Endpoint) -> Result<u64, Errno> {
        let to = (*self.pager.get_or_insert_with(|| sef::lookup("vm")))?;
        let mut server = vm::Client { to, transport: Ipc::default() };
        server.usage(vm::GetUsage { process, reserved: 0 }).map(|usage| usage.resident)
    }

    fn print(&mut self, line: fmt::Arguments<'_>) {
        sys::log!("{line}");
    }
}
