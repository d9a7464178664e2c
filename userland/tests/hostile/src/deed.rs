//! What victims can be told to do.

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Something that a program should not do, or that should do it no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u64)]
#[allow(missing_docs)] // Instructions have their own names.
pub enum Deed {
    /// Reads, writes or calls the address of the order.
    Read,
    Write,
    Call,
    /// Returns to the address of the order.
    ReturnTo,
    WriteText,
    WriteConstants,
    ExecuteData,
    ExecuteConstants,
    ExecuteStack,
    OverflowStack,
    /// Uses the address of the order as stack pointer: for a push, at a trap, while it is interrupted.
    PushAt,
    TrapWithStackAt,
    InterruptedWithStackAt,

    Cli,
    Sti,
    Hlt,
    In,
    Out,
    Ins,
    Outs,
    Rdmsr,
    Wrmsr,
    Rdpmc,
    ReadCr0,
    WriteCr0,
    ReadCr3,
    WriteCr3,
    WriteCr4,
    WriteCr8,
    WriteDr7,
    Lgdt,
    Lidt,
    Lldt,
    Ltr,
    Lmsw,
    Clts,
    Invd,
    Wbinvd,
    Invlpg,
    Swapgs,
    Sysret,
    Sysexit,
    Sysenter,
    Xsetbv,
    Monitor,
    Rdfsbase,
    Wrfsbase,
    Wrgsbase,
    /// Loads the selector of the order.
    LoadDs,
    LoadEs,
    LoadFs,
    LoadGs,
    LoadSs,

    Int3,
    Icebp,
    Int8,
    Int14,
    Int32,
    Int128,
    Int255,
    Ud2,
    UndefinedOpcode,
    DivideByZero,
    DivideOverflow,
    MisalignedSse,
    SimdException,
    X87Exception,
    /// Returns by `iretq` or `lretq` to the selectors of ring 0.
    IretToRing0,
    IretWithNestedTask,
    IretToNonCanonical,
    LretToRing0,
    SetTrapFlag,
    /// Sets IOPL to 3, then clears the interrupt flag.
    RaiseIopl,
    /// Tries to clear the interrupt flag by `popf`, which has no effect, and sees whether time goes on.
    ClearInterruptFlag,
    /// Traps, and is interrupted, with the flags of the order set.
    TrapWithFlags,
    InterruptedWithFlags,
}

protocol::protocol! {
    deeds = 0x7710;
    /// What shall I do?
    1 fn ask(Ask {}) -> Order { deed: Deed, argument: u64 };
    /// Says that the victim has done it and goes on; sent, not answered. 0 if nothing is wrong with that.
    2 fn survived(Survived { trouble: u64 }) -> Noted {};
}
