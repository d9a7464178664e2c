//! The part of QEMU's plugin interface that is used here, version 1 (QEMU 7.2, `qemu-plugin.h`), under safer names.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;

/// The version of the interface.
pub(crate) const VERSION: c_int = 1;

/// What QEMU calls this plugin.
pub(crate) type Id = u64;
/// Is called when a block of instructions has been translated.
pub(crate) type OnTranslation = unsafe extern "C" fn(Id, *mut c_void);
/// Is called when something is executed, with the number of the processor and what was registered with it.
pub(crate) type OnExecution = extern "C" fn(c_uint, *mut c_void);
/// Is called when QEMU ends.
pub(crate) type OnExit = extern "C" fn(Id, *mut c_void);

/// Callbacks do not touch the guest's registers.
const NO_REGISTERS: c_int = 0;

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, callback: OnTranslation);
    fn qemu_plugin_register_atexit_cb(id: Id, callback: OnExit, data: *mut c_void);
    fn qemu_plugin_register_vcpu_tb_exec_cb(block: *mut c_void, callback: OnExecution, flags: c_int, data: *mut c_void);
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut c_void,
        callback: OnExecution,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(block: *const c_void) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const c_void, index: usize) -> *mut c_void;
    fn qemu_plugin_insn_data(instruction: *const c_void) -> *const c_void;
    fn qemu_plugin_insn_size(instruction: *const c_void) -> usize;
    fn qemu_plugin_insn_vaddr(instruction: *const c_void) -> u64;
}

/// Has `translated` called for each block, and `ended` at the end.
///
/// # Safety
/// `id` is what QEMU gave at the installation, which is under way.
pub(crate) unsafe fn register(id: Id, translated: OnTranslation, ended: OnExit) {
    // SAFETY: by contract; the callbacks are functions of this library, which is never unloaded.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        qemu_plugin_register_atexit_cb(id, ended, ptr::null_mut());
    }
}

/// A block of instructions that has just been translated.
pub(crate) struct Block(*mut c_void);

/// An instruction of a block.
pub(crate) struct Instruction(*mut c_void);

impl Block {
    /// # Safety
    /// `block` is what the callback of a translation got, and that callback is not over while this lives.
    pub(crate) unsafe fn new(block: *mut c_void) -> Self {
        Self(block)
    }

    /// Has `callback` called before each execution of the block.
    pub(crate) fn on_execution(&self, callback: OnExecution) {
        // SAFETY: the block is valid by the contract of `new`.
        unsafe { qemu_plugin_register_vcpu_tb_exec_cb(self.0, callback, NO_REGISTERS, ptr::null_mut()) };
    }

    pub(crate) fn instructions(&self) -> impl Iterator<Item = Instruction> {
        // SAFETY: the block is valid, and the indices are below the number of its instructions.
        unsafe { (0..qemu_plugin_tb_n_insns(self.0)).map(|i| Instruction(qemu_plugin_tb_get_insn(self.0, i))) }
    }
}

impl Instruction {
    pub(crate) fn address(&self) -> u64 {
        // SAFETY: the instruction is one of a valid block.
        unsafe { qemu_plugin_insn_vaddr(self.0) }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the instruction is one of a valid block, for whose time QEMU keeps so many bytes there.
        unsafe { std::slice::from_raw_parts(qemu_plugin_insn_data(self.0).cast(), qemu_plugin_insn_size(self.0)) }
    }

    /// Has `callback` called before each execution of the instruction, with `number` as its data.
    pub(crate) fn on_execution(&self, callback: OnExecution, number: usize) {
        let data = ptr::without_provenance_mut(number);
        // SAFETY: the instruction is valid; nobody follows the pointer.
        unsafe { qemu_plugin_register_vcpu_insn_exec_cb(self.0, callback, NO_REGISTERS, data) };
    }
}
