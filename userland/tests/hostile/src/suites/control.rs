//! Victims that raise exceptions, return where they may not, or play with flags. The others go on.
#![no_std]
#![no_main]

mod exceptions {
    use hostile::Deed;
    use hostile::suite::{harms_nobody_else, stops};
    use suite::Outcome;

    macro_rules! stops {
        ($($name:ident: $deed:ident;)+) => {
            $(pub(crate) fn $name() -> Outcome {
                stops(Deed::$deed, 0)
            })+
        };
    }

    stops! {
        int3: Int3;
        int1: Icebp;
        int_of_double_fault: Int8;
        int_of_page_fault: Int14;
        int_of_a_device: Int32;
        int_of_linux: Int128;
        int_of_the_last_vector: Int255;
        ud2: Ud2;
        undefined_opcode: UndefinedOpcode;
        divides_by_zero: DivideByZero;
        divides_with_overflow: DivideOverflow;
        misaligned_sse: MisalignedSse;
        x87_exception: X87Exception;
        iret_to_ring_0: IretToRing0;
        iret_with_nested_task: IretWithNestedTask;
        iret_to_a_non_canonical_address: IretToNonCanonical;
        lret_to_ring_0: LretToRing0;
        sets_the_trap_flag: SetTrapFlag;
        raises_iopl: RaiseIopl;
    }

    /// A processor stops it; QEMU computes on, since it does not raise this exception.
    pub(crate) fn simd_exception() -> Outcome {
        harms_nobody_else(Deed::SimdException, 0)
    }

    /// TF: the trap itself runs to its end, and the exception comes after it.
    pub(crate) fn traps_with_the_trap_flag() -> Outcome {
        const TF: u64 = 1 << 8;
        stops(Deed::TrapWithFlags, TF)
    }
}

mod flags {
    use hostile::Deed;
    use hostile::suite::goes_on;
    use suite::Outcome;

    const DIRECTION: u64 = 1 << 10;
    const NESTED_TASK: u64 = 1 << 14;
    const ALIGNMENT_CHECK: u64 = 1 << 18;
    const ALL: u64 = probe::State::FLAGS_FREE;

    macro_rules! goes_on {
        ($($name:ident: $deed:ident $flags:expr;)+) => {
            $(pub(crate) fn $name() -> Outcome {
                goes_on(Deed::$deed, $flags)
            })+
        };
    }

    goes_on! {
        clears_the_interrupt_flag: ClearInterruptFlag 0;
        traps_with_the_direction_flag: TrapWithFlags DIRECTION;
        traps_with_nested_task: TrapWithFlags NESTED_TASK;
        traps_with_alignment_check: TrapWithFlags ALIGNMENT_CHECK;
        traps_with_all_flags: TrapWithFlags ALL;
        is_interrupted_with_the_direction_flag: InterruptedWithFlags DIRECTION;
        is_interrupted_with_nested_task: InterruptedWithFlags NESTED_TASK;
        is_interrupted_with_alignment_check: InterruptedWithFlags ALIGNMENT_CHECK;
        is_interrupted_with_all_flags: InterruptedWithFlags ALL;
    }
}

suite::suite! {
    exceptions {
        int3, int1, int_of_double_fault, int_of_page_fault, int_of_a_device, int_of_linux, int_of_the_last_vector, ud2,
        undefined_opcode, divides_by_zero, divides_with_overflow, misaligned_sse, simd_exception, x87_exception,
        iret_to_ring_0, iret_with_nested_task, iret_to_a_non_canonical_address, lret_to_ring_0, sets_the_trap_flag,
        raises_iopl, traps_with_the_trap_flag,
    }
    flags {
        clears_the_interrupt_flag, traps_with_the_direction_flag, traps_with_nested_task, traps_with_alignment_check,
        traps_with_all_flags, is_interrupted_with_the_direction_flag, is_interrupted_with_nested_task,
        is_interrupted_with_alignment_check, is_interrupted_with_all_flags,
    }
}
