//! The kernel at work: entries from the assembly code, and the way back to a process or to idleness.

use crate::apic;
use crate::cpu::CpuLocal;
use crate::entry;
use crate::frame::Frame;
use crate::lock::{Guard, Lock};
use crate::machine::X86;
use crate::watchdog::Watch;
use crate::{check, ioapic, paging, power, smp, traced};
use abi::{Endpoint, PRIVILEGES as PRIVILEGE_COUNT};
use core::cell::UnsafeCell;
use core::mem::{MaybeUninit, forget};
use core::ptr::null;
use core::sync::atomic::{AtomicU32, Ordering};
use kernel_core::filters::Filters;
use kernel_core::frames::{FrameNumber, Frames};
use kernel_core::rights::Refusals;
use kernel_core::spaces::lending::Lendings;
use kernel_core::spaces::{self, Space, SpaceTable};
use kernel_core::{
    Action, CpuId, Kernel, Machine, Partner, PrivilegeTable, Privileges, Process, SLOTS, Slot, Spaces, Storage, Table,
};
use protocol::kernel::AbortHow;

const _: () = assert!(core::mem::offset_of!(Process<X86>, frame) == 0);
const _: () = assert!(size_of::<Process<X86>>() == 1024);

/// Everything that the kernel lock guards.
pub struct State {
    /// The core.
    pub kernel: Kernel<'static, X86>,
    /// The machine.
    pub machine: X86,
}

// SAFETY: the state has pointers to kernel memory only, which every processor maps alike.
unsafe impl Send for State {}

/// The one big lock: taken at entry, held to exit. Filled in by [`start`], before which nothing enters the kernel.
pub(crate) static STATE: Lock<MaybeUninit<State>> = Lock::new(MaybeUninit::uninit());

/// The state, as long as the lock is held.
pub(crate) type StateGuard = Guard<'static, MaybeUninit<State>>;

/// A table of the core's: without asking for memory, and too large for a stack.
struct Static<T>(UnsafeCell<T>);

// SAFETY: each is handed out once, by `tables`.
unsafe impl<T> Sync for Static<T> {}

static PROCESSES: Static<MaybeUninit<Table<X86>>> = Static(UnsafeCell::new(MaybeUninit::uninit()));
static PRIVILEGES: Static<PrivilegeTable> = Static(UnsafeCell::new([const { Privileges::FREE }; PRIVILEGE_COUNT]));
static FILTERS: Static<Filters> = Static(UnsafeCell::new(Filters::new()));
static REFUSALS: Static<Refusals> = Static(UnsafeCell::new(Refusals::NONE));
static SPACES: Static<SpaceTable> = Static(UnsafeCell::new([Space::FREE; spaces::SPACES]));

/// The tables of the core, with nothing in them.
///
/// # Safety
/// Called once.
pub unsafe fn storage(frames: Frames<'static>, lendings: Lendings<'static>) -> Storage<'static, X86> {
    let table = PROCESSES.0.get().cast::<Process<X86>>();
    for (i, slot) in Slot::all().enumerate() {
        // SAFETY: in range, and nobody else has the table.
        unsafe { table.add(i).write(Process::free(slot, Frame::EMPTY)) };
    }
    const _: () = assert!(SLOTS * size_of::<Process<X86>>() == size_of::<Table<X86>>());
    // SAFETY: nobody else has these by contract, and every slot is written.
    unsafe {
        Storage {
            procs: &mut *table.cast(),
            privileges: &mut *PRIVILEGES.0.get(),
            filters: &mut *FILTERS.0.get(),
            refusals: &mut *REFUSALS.0.get(),
            spaces: Spaces::new(&mut *SPACES.0.get(), frames, lendings),
        }
    }
}

/// Port of QEMU's exit device; 0 for none.
static DEBUG_EXIT: AtomicU32 = AtomicU32::new(0);

/// Says where QEMU's exit device is, for aborts and panics.
pub fn set_debug_exit(port: u16) {
    DEBUG_EXIT.store(port.into(), Ordering::Relaxed);
}

/// Whether a port is one of QEMU's exit device, which takes numbers of 32 bits.
pub(crate) fn is_debug_exit(port: u16) -> bool {
    let first = DEBUG_EXIT.load(Ordering::Relaxed);
    first != 0 && (first..first + 4).contains(&port.into())
}

/// Leaves QEMU if it can, else halts.
pub fn leave_or_halt(code: u32) -> ! {
    let port = DEBUG_EXIT.load(Ordering::Relaxed);
    if port != 0 {
        // SAFETY: the command line says that the device is there.
        unsafe { power::leave_qemu(port as u16, code) };
    }
    power::halt()
}

/// Runs the processes that `state` has, for ever. `local` is this processor's, and has them in its queues.
///
/// # Safety
/// Called once, on the boot processor, after everything else is set up.
pub unsafe fn start(local: &'static mut CpuLocal, state: State) -> ! {
    let mut guard = STATE.lock();
    let state = guard.write(state);
    local.set_timer(true);
    // The others come for their processes as soon as they are let into the kernel.
    let kicks = state.kernel.take_kicks(local.id);
    let next = choose(local, state);
    drop(guard);
    smp::release_others();
    kicks.for_each(smp::kick);
    match next {
        // SAFETY: `choose` has loaded its space and made it current.
        Some(frame) => unsafe { entry::first_resume(frame) },
        // SAFETY: the lock is free.
        None => unsafe { entry::idle(local) },
    }
}

pub(crate) fn state(guard: &mut StateGuard) -> &mut State {
    // SAFETY: only the entries of the kernel call this, and `start` has filled it in before the first of them.
    unsafe { guard.assume_init_mut() }
}

/// The kernel lock, which the entry code of traps has taken.
#[inline(always)]
fn taken() -> StateGuard {
    // SAFETY: only what that code calls calls this.
    unsafe { STATE.taken() }
}

/// Takes the kernel lock.
#[inline(always)]
pub(crate) fn lock(local: &CpuLocal) -> StateGuard {
    STATE.try_lock().unwrap_or_else(|| wait(local))
}

/// The same when another processor may have it.
#[cold]
fn wait(local: &CpuLocal) -> StateGuard {
    let mut left = false;
    let mut watch = Watch::start(local.id);
    let mut guard = STATE.lock_while(|| {
        left |= smp::leave_if_asked(local.id);
        watch.look();
    });
    drop(watch);
    let State { kernel, .. } = state(&mut guard);
    // Who goes on is taken to have his space loaded.
    if left && let Some(slot) = kernel.cpu(local.id).current() {
        load_space(kernel.enter_space(local.id, slot));
    }
    guard
}

/// Takes the lock for the entry code of traps.
#[cold]
pub(crate) unsafe extern "sysv64" fn wait_for_lock(local: &CpuLocal) {
    forget(wait(local));
}

/// Chooses who runs next, if the current one does not go on, and makes it current, with its address space loaded; `None` to
/// idle, in the kernel's own.
fn choose(local: &mut CpuLocal, state: &mut State) -> Option<*const Frame> {
    if let Some(slot) = state.kernel.switch(&mut state.machine, local.id) {
        return Some(enter_process(local, &mut state.kernel, slot));
    }
    if state.kernel.spaces.idle(local.id) {
        // SAFETY: the kernel's own space maps the kernel like every other.
        unsafe { paging::load(state.machine.root) };
    }
    None
}

/// Ends an entry: tells other processors what concerns them, gives the lock back and says whose frame to load, or waits.
pub(crate) fn leave(local: &mut CpuLocal, mut guard: StateGuard) -> *const Frame {
    let state = state(&mut guard);
    if state.kernel.has_kicks() {
        state.kernel.take_kicks(local.id).for_each(smp::kick);
    }
    if state.kernel.goes_on(local.id) {
        return local.current;
    }
    let next = choose(local, state);
    local.set_timer(next.is_some());
    drop(guard);
    match next {
        Some(frame) => frame,
        // SAFETY: the lock is free, and nothing on this stack is needed any more.
        None => unsafe { entry::idle(local) },
    }
}

/// Makes the process in `slot` the current one of the assembly code, with its address space loaded.
fn enter_process(local: &mut CpuLocal, kernel: &mut Kernel<'static, X86>, slot: Slot) -> *const Frame {
    load_space(kernel.enter_space(local.id, slot));
    local.current = &raw mut kernel.process_mut(slot).frame;
    local.current
}

/// Loads the address space with this root page table; with none the right one is loaded.
#[inline(always)]
pub(crate) fn load_space(root: Option<FrameNumber>) {
    if let Some(root) = root {
        // SAFETY: it is the root table of a space that lives, and all of them map the kernel.
        unsafe { paging::load(paging::Table::at(root.address())) };
    }
}

/// Switches straight to the partner that `decide` finds, and returns its frame, for the entry code to make it the current one;
/// null to take the ordinary way.
///
/// It returns with the kernel lock held: with a frame, since the message is still in the caller's, and as soon as the lock is
/// free another processor may write the next one there; without one, for [`trap_entry`].
#[inline(always)]
fn fast(decide: impl for<'a> FnOnce(&'a mut Kernel<'static, X86>, &X86) -> Option<Partner<'a, X86>>) -> *const Frame {
    let mut guard = taken();
    let State { kernel, machine } = state(&mut guard);
    let frame = match decide(kernel, machine) {
        Some(Partner { process, load }) => {
            load_space(load);
            &raw const process.frame
        }
        None => null(),
    };
    forget(guard);
    frame
}

/// SENDREC by the fast path, see [`fast`]. The first three arguments stand where the trap left them; the last is this
/// processor.
pub(crate) unsafe extern "sysv64" fn fast_sendrec(
    destination: u32,
    _header: u64,
    _from: u32,
    cpu: CpuId,
) -> *const Frame {
    fast(|kernel, machine| kernel.fast_sendrec(machine, cpu, Endpoint::from_raw(destination)))
}

/// REPLY_RECEIVE, in the same way.
pub(crate) unsafe extern "sysv64" fn fast_reply_receive(
    destination: u32,
    _header: u64,
    from: u32,
    cpu: CpuId,
) -> *const Frame {
    let (destination, from) = (Endpoint::from_raw(destination), Endpoint::from_raw(from));
    fast(|kernel, machine| kernel.fast_reply_receive(machine, cpu, destination, from))
}

/// NOTIFY by the fast path: whether it was done, and the caller goes on.
pub(crate) unsafe extern "sysv64" fn fast_notify(destination: u32, _: u64, _: u32, cpu: CpuId) -> u32 {
    go_on(|kernel, machine| kernel.fast_notify(machine, cpu, Endpoint::from_raw(destination)))
}

/// RECEIVE, see [`fast`]: the frame is that of the next process.
pub(crate) unsafe extern "sysv64" fn fast_receive(_: u32, _: u64, from: u32, cpu: CpuId) -> *const Frame {
    fast(|kernel, machine| kernel.fast_receive(machine, cpu, Endpoint::from_raw(from)))
}

/// The cheapest kernel call, which the entry code has found out that it is, by the fast path: whether it was done, and the
/// caller goes on.
pub(crate) unsafe extern "sysv64" fn fast_times(_: u32, header: u64, _: u32, cpu: CpuId) -> u32 {
    go_on(|kernel, machine| kernel.fast_times(machine, cpu, header))
}

/// Does something after which the caller goes on; whether it was done. It leaves the lock held.
#[inline(always)]
fn go_on(act: impl FnOnce(&mut Kernel<'static, X86>, &X86) -> bool) -> u32 {
    let mut guard = taken();
    let State { kernel, machine } = state(&mut guard);
    let done = act(kernel, machine);
    forget(guard);
    done.into()
}

/// A process makes a kernel call; its registers are saved, and the kernel lock is taken.
pub(crate) unsafe extern "sysv64" fn call_entry(local: &mut CpuLocal) -> *const Frame {
    let mut guard = taken();
    let State { kernel, machine } = state(&mut guard);
    let Some(me) = kernel.fast_call(machine, local.id) else {
        forget(guard);
        // SAFETY: what holds at this entry holds at that.
        return unsafe { trap_entry(local) };
    };
    if kernel.action() != Action::Resume || kernel.has_kicks() || !kernel.keeps(local.id, me) {
        let action = kernel.action();
        act(kernel, action);
        return leave(local, guard);
    }
    local.current
}

/// A process made a trap; its registers are saved, and the kernel lock is taken.
#[inline(never)]
pub(crate) unsafe extern "sysv64" fn trap_entry(local: &mut CpuLocal) -> *const Frame {
    let mut guard = taken();
    let State { kernel, machine } = state(&mut guard);
    let action = kernel.trap(machine, local.id);
    act(kernel, action);
    leave(local, guard)
}

/// The same when messages or uses of rights are told of, or the kernel checks itself.
pub(crate) unsafe extern "sysv64" fn traced_trap_entry(local: &mut CpuLocal) -> *const Frame {
    let mut guard = lock(local);
    let State { kernel, machine } = state(&mut guard);
    check::before_trap(kernel);
    if traced::tells_uses() {
        kernel.trace_use(machine, local.id);
    }
    let me = if traced::tells_messages() { kernel.trace_trap(machine, local.id) } else { None };
    // `trap_entry` finds the lock taken.
    forget(guard);
    // SAFETY: what holds at this entry holds at that. It does not come back when nobody is left to run: then nobody failed.
    let next = unsafe { trap_entry(local) };
    if let Some(me) = me {
        let mut guard = lock(local);
        let State { kernel, machine } = state(&mut guard);
        kernel.trace_result(machine, me);
    }
    next
}

/// An interrupt came; the registers of the process, if one ran, are saved.
pub(crate) unsafe extern "sysv64" fn interrupt_entry(local: &mut CpuLocal, vector: u64) -> *const Frame {
    let mut guard = lock(local);
    let State { kernel, machine } = state(&mut guard);
    match vector as u8 {
        apic::TIMER_VECTOR => {
            // The time is the boot processor's; the others tick for their own processes.
            if local.id == CpuId::BOOT {
                machine.ticks += 1;
            }
            kernel.tick(machine, local.id);
            apic::end_of_interrupt();
            match local.nmis.swap(0, Ordering::Relaxed) {
                0 => {}
                count => machine.log(format_args!("{count} non-maskable interrupts came: the hardware has a problem")),
            }
        }
        // Whoever sent it wants this processor to choose anew who runs: that comes below.
        apic::SCHEDULE_VECTOR => apic::end_of_interrupt(),
        // This processor has left its space while it waited for the lock.
        apic::LEAVE_VECTOR => apic::end_of_interrupt(),
        apic::SPURIOUS_VECTOR => {}
        vector @ ioapic::FIRST_VECTOR..=ioapic::LAST_VECTOR => {
            if let Some(line) = machine.io_apics.interrupted(vector) {
                kernel.interrupt(machine, line);
            }
            // Not before: a level that is not masked yet would come again.
            apic::end_of_interrupt();
        }
        vector => {
            machine.log(format_args!("nobody handles interrupt vector {vector:#x}"));
            apic::end_of_interrupt();
        }
    }
    leave(local, guard)
}

/// Does what an entry asks of the machine.
#[inline(always)]
pub(crate) fn act(kernel: &Kernel<'static, X86>, action: Action) {
    match action {
        Action::Resume => {}
        Action::Abort { how, status } => {
            check::at_end(kernel);
            abort(how, status)
        }
        Action::Panic(slot) => {
            panic!("{} cannot go on, and nobody is there to deal with it", kernel.process(slot).name())
        }
    }
}

/// Ends the run of the system.
#[cold]
fn abort(how: AbortHow, status: u32) -> ! {
    match how {
        AbortHow::Halt => power::halt(),
        AbortHow::Reset => power::reset(),
        AbortHow::Leave => leave_or_halt(status),
    }
}
