//! Victims that touch memory which is not theirs, or not for that. The others go on.
#![no_std]
#![no_main]

/// Reading, writing and calling addresses.
mod addresses {
    use abi::layout::{STACK_SIZE, STACK_TOP, USER_END, USER_START};
    use hostile::Deed;
    use hostile::suite::stops;
    use suite::Outcome;

    /// The first address that no program can have.
    pub(crate) const NON_CANONICAL: u64 = 0x0000_8000_0000_0000;
    /// In the direct map of RAM: ordinary memory, and the kernel's image.
    const DIRECT_MAP: u64 = 0xffff_8000_0100_0000;
    const DIRECT_IMAGE: u64 = 0xffff_8000_0020_0000;
    /// In the map of devices: the local APIC.
    const DEVICE: u64 = 0xffff_c000_fee0_0020;
    /// In the kernel's image.
    pub(crate) const KERNEL_TEXT: u64 = 0xffff_ffff_8020_4000;
    /// In the physical range of the kernel's image, as its boot code mapped it.
    const BOOT_CODE: u64 = 0x20_0000;

    macro_rules! stops {
        ($($name:ident: $deed:ident $address:expr;)+) => {
            $(pub(crate) fn $name() -> Outcome {
                stops(Deed::$deed, $address)
            })+
        };
    }

    stops! {
        reads_null: Read 0;
        writes_null: Write 8;
        reads_below_the_first_page: Read USER_START - 8;
        reads_boot_code: Read BOOT_CODE;
        reads_kernel_text: Read KERNEL_TEXT;
        reads_the_last_kernel_address: Read u64::MAX - 7;
        reads_the_direct_map: Read DIRECT_MAP;
        reads_the_kernel_in_the_direct_map: Read DIRECT_IMAGE;
        reads_a_device: Read DEVICE;
        writes_kernel_text: Write KERNEL_TEXT;
        writes_the_direct_map: Write DIRECT_MAP;
        reads_a_non_canonical_address: Read NON_CANONICAL;
        reads_across_the_canonical_border: Read NON_CANONICAL - 4;
        reads_above_user_space: Read USER_END;
        reads_below_its_stack: Read STACK_TOP - STACK_SIZE - 8;
        reads_above_its_stack: Read STACK_TOP;
        writes_its_text: WriteText 0;
        writes_its_constants: WriteConstants 0;
        executes_its_data: ExecuteData 0;
        executes_its_constants: ExecuteConstants 0;
        executes_its_stack: ExecuteStack 0;
        calls_null: Call 0;
        calls_kernel_text: Call KERNEL_TEXT;
        calls_the_kernel_in_the_direct_map: Call DIRECT_IMAGE;
        calls_a_non_canonical_address: Call NON_CANONICAL;
        returns_to_a_non_canonical_address: ReturnTo NON_CANONICAL;
        returns_to_kernel_text: ReturnTo KERNEL_TEXT;
        overflows_its_stack: OverflowStack 0;
    }
}

/// Stack pointers that point nowhere good, and traps at a bad place.
mod edges {
    use crate::addresses::{KERNEL_TEXT, NON_CANONICAL};
    use hostile::Deed;
    use hostile::suite::{goes_on, program, program_stops, stops};
    use suite::Outcome;

    pub(crate) fn traps_at_the_end_of_user_space() -> Outcome {
        program_stops(program("brink")?, Deed::ReturnTo, abi::layout::USER_END)
    }

    pub(crate) fn pushes_in_the_kernel() -> Outcome {
        stops(Deed::PushAt, KERNEL_TEXT)
    }

    pub(crate) fn pushes_at_a_non_canonical_address() -> Outcome {
        stops(Deed::PushAt, NON_CANONICAL + 0x1000)
    }

    pub(crate) fn traps_with_its_stack_in_the_kernel() -> Outcome {
        goes_on(Deed::TrapWithStackAt, KERNEL_TEXT)
    }

    pub(crate) fn traps_with_a_non_canonical_stack() -> Outcome {
        goes_on(Deed::TrapWithStackAt, NON_CANONICAL + 0x1000)
    }

    pub(crate) fn traps_without_a_stack() -> Outcome {
        goes_on(Deed::TrapWithStackAt, 0)
    }

    pub(crate) fn is_interrupted_with_its_stack_in_the_kernel() -> Outcome {
        goes_on(Deed::InterruptedWithStackAt, KERNEL_TEXT)
    }

    pub(crate) fn is_interrupted_with_a_non_canonical_stack() -> Outcome {
        goes_on(Deed::InterruptedWithStackAt, NON_CANONICAL + 0x1000)
    }

    pub(crate) fn is_interrupted_without_a_stack() -> Outcome {
        goes_on(Deed::InterruptedWithStackAt, 0)
    }
}

suite::suite! {
    addresses {
        reads_null, writes_null, reads_below_the_first_page, reads_boot_code, reads_kernel_text,
        reads_the_last_kernel_address, reads_the_direct_map, reads_the_kernel_in_the_direct_map, reads_a_device,
        writes_kernel_text, writes_the_direct_map, reads_a_non_canonical_address, reads_across_the_canonical_border,
        reads_above_user_space, reads_below_its_stack, reads_above_its_stack, writes_its_text, writes_its_constants,
        executes_its_data, executes_its_constants, executes_its_stack, calls_null, calls_kernel_text,
        calls_the_kernel_in_the_direct_map, calls_a_non_canonical_address, returns_to_a_non_canonical_address,
        returns_to_kernel_text, overflows_its_stack,
    }
    edges {
        traps_at_the_end_of_user_space, pushes_in_the_kernel, pushes_at_a_non_canonical_address, traps_with_its_stack_in_the_kernel,
        traps_with_a_non_canonical_stack, traps_without_a_stack, is_interrupted_with_its_stack_in_the_kernel,
        is_interrupted_with_a_non_canonical_stack, is_interrupted_without_a_stack,
    }
}
