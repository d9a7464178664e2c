//! Instructions and selectors that are the kernel's.

use core::arch::asm;
use hostile::Deed;

/// Port of the first serial interface, which every PC has.
const SERIAL_PORT: u16 = 0x3f8;
/// IA32_EFER.
const EFER: u32 = 0xc000_0080;
/// A descriptor table register: limit and base.
type TableRegister = [u8; 10];

/// Executes one instruction with operands that would do no harm to the program, if it were let.
macro_rules! execute {
    ($($asm:tt)*) => {{
        // SAFETY: the kernel is expected to stop the program here. What the operands name is the program's own, so that it
        // can report if it is not.
        unsafe { asm!($($asm)*) };
        Some(0)
    }};
}

pub(crate) fn perform(deed: Deed, argument: u64) -> Option<u64> {
    let mut table: TableRegister = [0; 10];
    let selector = argument as u16;
    match deed {
        Deed::Cli => execute!("cli"),
        Deed::Sti => execute!("sti"),
        Deed::Hlt => execute!("hlt"),
        Deed::In => execute!("in al, dx", in("dx") SERIAL_PORT, out("al") _),
        Deed::Out => execute!("out dx, al", in("dx") SERIAL_PORT, in("al") b'!'),
        Deed::Ins => execute!("insb", in("dx") SERIAL_PORT, inout("rdi") table.as_mut_ptr() => _),
        Deed::Outs => execute!("outsb", in("dx") SERIAL_PORT, inout("rsi") table.as_ptr() => _),
        Deed::Rdmsr => execute!("rdmsr", in("ecx") EFER, out("eax") _, out("edx") _),
        Deed::Wrmsr => execute!("wrmsr", in("ecx") EFER, in("eax") 0, in("edx") 0),
        Deed::Rdpmc => execute!("rdpmc", in("ecx") 0, out("eax") _, out("edx") _),
        Deed::ReadCr0 => execute!("mov {}, cr0", out(reg) _),
        Deed::WriteCr0 => execute!("mov cr0, {}", in(reg) 0x8001_0033_u64),
        Deed::ReadCr3 => execute!("mov {}, cr3", out(reg) _),
        Deed::WriteCr3 => execute!("mov cr3, {}", in(reg) 0_u64),
        Deed::WriteCr4 => execute!("mov cr4, {}", in(reg) 0x620_u64),
        Deed::WriteCr8 => execute!("mov cr8, {}", in(reg) 15_u64),
        Deed::WriteDr7 => execute!("mov dr7, {}", in(reg) 0x400_u64),
        Deed::Lgdt => execute!("lgdt [{}]", in(reg) &raw const table),
        Deed::Lidt => execute!("lidt [{}]", in(reg) &raw const table),
        Deed::Lldt => execute!("lldt {:x}", in(reg) 0),
        Deed::Ltr => execute!("ltr {:x}", in(reg) 0x28),
        Deed::Lmsw => execute!("lmsw {:x}", in(reg) 1),
        Deed::Clts => execute!("clts"),
        Deed::Invd => execute!("invd"),
        Deed::Wbinvd => execute!("wbinvd"),
        Deed::Invlpg => execute!("invlpg [{}]", in(reg) &raw const table),
        Deed::Swapgs => execute!("swapgs"),
        Deed::Sysret => execute!("sysretq", in("rcx") perform as *const (), in("r11") 0x202),
        Deed::Sysexit => execute!("sysexit", in("rcx") 0, in("rdx") perform as *const ()),
        Deed::Sysenter => execute!("sysenter"),
        Deed::Xsetbv => execute!("xsetbv", in("ecx") 0, in("eax") 7, in("edx") 0),
        Deed::Monitor => execute!("monitor", in("rax") &raw const table, in("ecx") 0, in("edx") 0),
        Deed::Rdfsbase => execute!("rdfsbase {}", out(reg) _),
        Deed::Wrfsbase => execute!("wrfsbase {}", in(reg) 0xffff_8000_0000_0000_u64),
        Deed::Wrgsbase => execute!("wrgsbase {}", in(reg) 0xffff_8000_0000_0000_u64),
        Deed::LoadDs => execute!("mov ds, {:x}", in(reg) selector),
        Deed::LoadEs => execute!("mov es, {:x}", in(reg) selector),
        Deed::LoadFs => execute!("mov fs, {:x}", in(reg) selector),
        Deed::LoadGs => execute!("mov gs, {:x}", in(reg) selector),
        Deed::LoadSs => execute!("mov ss, {:x}", in(reg) selector),
        _ => None,
    }
}
