//! The registers of a program.

use abi::{BODY_WORDS, Context, Endpoint, Message, Signal, Status};
use kernel_core::{Frame, Request};
use storm::Registers;
use zerocopy::FromZeros;

/// Bytes of the instruction that traps.
pub(crate) const TRAP_LEN: u64 = 2;

/// What a process has while it does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Regs {
    pub(crate) rax: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    pub(crate) body: [u64; BODY_WORDS],
    rip: u64,
    rsp: u64,
    rflags: u64,
    /// Which trap it made last: no trap changes it, but a new program or a tracer does.
    pub(crate) rbx: u64,
    steps: bool,
}

impl Default for Regs {
    fn default() -> Self {
        Self { rax: 0, rdi: 0, rsi: 0, rdx: 0, body: [0; BODY_WORDS], rip: 0, rsp: 0, rflags: 0, rbx: 0, steps: false }
    }
}

impl Regs {
    /// Those of a process that makes a trap, the one with this number.
    pub(crate) fn trap(self, made: &Registers, number: u64) -> Self {
        let Registers { rax, rdi, rsi, rdx, body } = *made;
        Self { rax, rdi, rsi, rdx, body, rbx: number, rip: self.rip.wrapping_add(TRAP_LEN), ..self }
    }

    /// Whether they hold a notification from this source.
    pub(crate) fn notified_by(&self, source: Endpoint) -> bool {
        self.rax == 0 && self.rdi == source.raw().into() && Status(self.rdx).is_notification()
    }

    /// Who sent the message that they hold, if he waits for an answer.
    pub(crate) fn asked_by(&self) -> Option<Endpoint> {
        (self.rax == 0 && Status(self.rdx).wants_reply()).then(|| Endpoint::from_raw(self.rdi as u32))
    }

    /// Where it goes on.
    pub(crate) fn rip(&self) -> u64 {
        self.rip
    }

    /// Makes a trap again that was held back.
    pub(crate) fn trap_again(self) -> Self {
        Self { rip: self.rip.wrapping_add(TRAP_LEN), ..self }
    }
}

impl Frame for Regs {
    fn request(&self) -> Request {
        Request {
            rax: self.rax,
            destination: Endpoint::from_raw(self.rdi as u32),
            header: self.rsi,
            source: Endpoint::from_raw(self.rdx as u32),
        }
    }

    fn body(&self) -> [u64; BODY_WORDS] {
        self.body
    }

    fn body_mut(&mut self) -> &mut [u64; BODY_WORDS] {
        &mut self.body
    }

    fn set_head(&mut self, source: Endpoint, header: u64, status: Status) {
        (self.rax, self.rdi, self.rsi, self.rdx) = (0, source.raw().into(), header, status.0);
    }

    fn deliver(&mut self, message: &Message, status: Status) {
        self.set_head(message.peer, message.header(), status);
        self.body = message.body;
    }

    fn table(&self) -> (u64, u64) {
        (self.rdi, self.rdx)
    }

    fn start(&mut self, entry: u64, stack: u64) {
        *self = Self { rip: entry, rsp: stack, ..Self::default() };
    }

    fn context(&self) -> Context {
        let [r8, r9, r10, r12, r13, r14, r15] = self.body;
        let Self { rax, rbx, rdi, rsi, rdx, rip, rsp, rflags, .. } = *self;
        Context { rax, rbx, rdi, rsi, rdx, rip, rsp, rflags, r8, r9, r10, r12, r13, r14, r15, ..Context::new_zeroed() }
    }

    fn set_context(&mut self, c: &Context) {
        let body = [c.r8, c.r9, c.r10, c.r12, c.r13, c.r14, c.r15];
        let Context { rax, rbx, rdi, rsi, rdx, rip, rsp, rflags, .. } = *c;
        *self = Self { rax, rbx, rdi, rsi, rdx, rip, rsp, rflags, body, steps: self.steps };
    }

    fn handle_signal(&mut self, handler: u64, stack: u64, signal: Signal, frame: u64) {
        (self.rip, self.rsp, self.rdi, self.rsi) = (handler, stack, signal.number().into(), frame);
        self.rbx = 0;
    }

    fn set_step(&mut self, on: bool) {
        self.steps = on;
    }

    fn rewind_trap(&mut self) {
        self.rip = self.rip.wrapping_sub(TRAP_LEN);
    }

    fn set_result(&mut self, result: i64) {
        self.rax = result as u64;
    }
}
