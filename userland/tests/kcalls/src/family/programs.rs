//! What children do. They have the suite's code and constants, and data of their own that starts as zeros.

use crate::board::{Board, own_board};
use crate::home::{Page, SPARE_STACK};
use abi::{Endpoint, Kind, Message, Trap};
use core::arch::{asm, naked_asm};
use core::hint::spin_loop;
use probe::{Counter, Register, State};
use protocol::Call;
use protocol::kernel::{RunAction, RunCtl, WhoAmI};

fn partner() -> Endpoint {
    Endpoint::from_raw(own_board().get(Board::PARTNER) as u32)
}

/// Counts on its board, for ever.
pub extern "C" fn count() -> ! {
    loop {
        own_board().count(Board::COUNT);
        spin_loop();
    }
}

/// The same in the first word of the page that tests take away.
pub extern "C" fn count_in_target() -> ! {
    // SAFETY: no reference is made; where nothing is mapped, the kernel stops the child.
    let target = core::ptr::with_exposed_provenance_mut::<u64>(Page::TARGET.address() as usize);
    loop {
        // SAFETY: as above; whoever else sees the page reads it only.
        unsafe { target.write_volatile(target.read_volatile().wrapping_add(1)) };
        own_board().count(Board::COUNT);
    }
}

/// Keeps all its registers filled, and counts how often they were as they should be. [`Board::ARGUMENT`] is the pattern.
pub extern "C" fn keep_registers() -> ! {
    const ROUNDS: u64 = 2000;
    let board = own_board();
    let mut before = State::pattern(board.get(Board::ARGUMENT));
    // Signals need a stack.
    before.set(Register::Rsp, SPARE_STACK);
    loop {
        let after = probe::spin(&before, ROUNDS, Counter::Memory);
        if probe::after_spin(&before, &after, Counter::Memory).is_err() {
            board.count(Board::TROUBLE);
        }
        board.count(Board::COUNT);
    }
}

/// Makes the trap whose registers stand on its board whenever its partner notifies it, leaves them there as they are then, and
/// counts.
pub extern "C" fn obey() -> ! {
    let board = own_board();
    while rt::receive(partner()).is_ok() {
        // SAFETY: the suite gives its orders about memory that is there for tests.
        let after = unsafe { rt::trap_unchecked(board.registers()) };
        board.set_registers(&after);
        board.count(Board::COUNT);
    }
    stop()
}

/// Answers each call with its words, the first of them one more; counts the calls.
pub extern "C" fn serve() -> ! {
    let board = own_board();
    let mut received = rt::receive(Endpoint::ANY);
    while let Ok(request) = received {
        board.count(Board::COUNT);
        let mut reply = request.message;
        reply.kind = Kind::OK;
        reply.body[0] = reply.body[0].wrapping_add(1);
        received = rt::reply_receive(&reply, Endpoint::ANY);
    }
    stop()
}

/// Calls its partner, a server like [`serve`], for ever: counts the answers, and what was wrong with them. Stops when
/// [`Board::ARGUMENT`] says so.
pub extern "C" fn call() -> ! {
    let board = own_board();
    let mut number = 0;
    while board.get(Board::ARGUMENT) == 0 {
        let mut message = Message { body: [number; 7], ..Message::new(partner(), Kind(0x7770)) };
        let answered = rt::sendrec(&mut message);
        let expected = core::array::from_fn(|i| if i == 0 { number + 1 } else { number });
        if answered.is_err() || message.kind != Kind::OK || message.body != expected {
            board.count(Board::TROUBLE);
        }
        number += 1;
        board.count(Board::COUNT);
    }
    board.set(Board::RESULT, 1);
    stop()
}

/// Does nothing any more: the suite gets a signal.
fn stop() -> ! {
    sys::exit(0)
}

/// Writes rbx to the board at every exception that it is let go on from.
#[unsafe(naked)]
pub extern "C" fn trip() -> ! {
    naked_asm!(
        "2: mov rbx, 1",
        "ud2",
        "mov [{result}], rbx",
        "jmp 2b",
        result = const RESULT_ADDRESS,
    )
}

const RESULT_ADDRESS: u64 = Page::BOARD.address() + Board::RESULT as u64 * 8;

/// Executes short instructions one after the other; the last one leads back to the first.
#[unsafe(naked)]
pub extern "C" fn walk() -> ! {
    naked_asm!("2: inc rax", "inc rbx", "inc rcx", "jmp 2b")
}

/// Length of each of the first three instructions of [`walk`].
pub const STRIDE: u64 = 3;

/// A signal handler: tells of the signal on the board, changes registers, and returns.
pub extern "C" fn handle(signal: u64, frame: u64) {
    let board = own_board();
    // SAFETY: the registers are named as changed.
    unsafe {
        asm!(
            "pcmpeqd xmm0, xmm0",
            "pcmpeqd xmm1, xmm1",
            "pcmpeqd xmm7, xmm7",
            "pcmpeqd xmm15, xmm15",
            "mov r8, -1",
            "mov r9, -1",
            "mov r10, -1",
            "mov r11, -1",
            "mov rcx, -1",
            "mov rdx, -1",
            clobber_abi("sysv64"),
            options(nomem, nostack),
        );
    }
    board.set(Board::RESULT, signal);
    board.set(Board::FREE, frame);
}

/// Stops the process whose endpoint stands in [`Board::FREE`] and lets it go on, for ever; counts how often both were done.
/// What fails is counted as well, in [`Board::TROUBLE`]. Says in [`Board::RESULT`] that it was done [`Board::ARGUMENT`] times.
pub extern "C" fn stop_other() -> ! {
    let board = own_board();
    let run = |action| {
        let process = Endpoint::from_raw(board.get(Board::FREE) as u32);
        sys::kernel().runctl(RunCtl { process, action }).is_ok()
    };
    loop {
        if run(RunAction::Stop) && run(RunAction::Resume) {
            board.count(Board::COUNT);
        } else {
            board.count(Board::TROUBLE);
        }
        if board.get(Board::COUNT) >= board.get(Board::ARGUMENT) {
            board.set(Board::RESULT, 1);
        }
    }
}

/// Writes the rax that it starts with to the board, counts, and then makes kernel calls for ever.
#[unsafe(naked)]
pub extern "C" fn land() -> ! {
    naked_asm!(
        "mov [{result}], rax",
        "inc qword ptr [{count}]",
        "2: mov rax, {trap}",
        "mov esi, {kind}",
        "syscall",
        "jmp 2b",
        result = const RESULT_ADDRESS,
        count = const COUNT_ADDRESS,
        trap = const Trap::KernelCall.rax(),
        kind = const WhoAmI::KIND.0,
    )
}

const COUNT_ADDRESS: u64 = Page::BOARD.address() + Board::COUNT as u64 * 8;

/// Where handlers return to: tells the suite by an exception.
#[unsafe(naked)]
pub extern "C" fn after_handler() -> ! {
    naked_asm!("2: ud2", "jmp 2b")
}
