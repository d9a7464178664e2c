//! From the boot loader to Rust: the multiboot2 header, and the way from 32-bit protected mode to the kernel's half of a
//! 64-bit address space. GRUB enters here under BIOS and under UEFI alike (Multiboot2 specification 2.0, 3.3: protected
//! mode, paging off, eax = magic, ebx = physical address of the boot information).
//!
//! The code and tables are linked at their physical addresses (sections `.boot.*`, see the linker script). The tables map
//! the first 4 GiB three times: at 0, for the instructions that switch, at [`DIRECT_MAP`](crate::layout::DIRECT_MAP), and
//! their first GiB at [`IMAGE_MAP`](crate::layout::IMAGE_MAP). The kernel replaces them by its own as soon as it knows
//! the memory.

use crate::cpu::{BOOT_STACK_END, STACKS};
use core::arch::global_asm;

global_asm!(
    ".section .boot.header, \"a\"",
    ".balign 8",
    "multiboot_header:",
    ".long 0xe85250d6, 0, multiboot_header_end - multiboot_header",
    ".long -(0xe85250d6 + (multiboot_header_end - multiboot_header))",
    // Modules on page borders.
    ".balign 8",
    ".short 6, 0",
    ".long 8",
    // A linear framebuffer of any size with 32 bits a pixel is welcome, not required.
    ".balign 8",
    ".short 5, 1",
    ".long 20, 0, 0, 32",
    ".balign 8",
    ".short 0, 0",
    ".long 8",
    "multiboot_header_end:",

    ".section .boot.text, \"ax\"",
    ".code32",
    ".global _start",
    "_start:",
    "cli",
    "cld",
    "mov esp, offset boot_stack_end",
    "mov edi, eax", // The arguments of kernel_main.
    "mov esi, ebx",
    "mov eax, 0x80000000",
    "cpuid",
    "cmp eax, 0x80000001",
    "jb 9f",
    "mov eax, 0x80000001",
    "cpuid",
    "bt edx, 29", // Long mode.
    "jnc 9f",
    "bt edx, 20", // No-execute.
    "jnc 9f",
    // Four page directories of 2 MiB pages, present and writable.
    "mov ebx, offset boot_directories",
    "mov eax, 0x83",
    "xor ecx, ecx",
    "2:",
    "mov [ebx + ecx * 8], eax",
    "mov dword ptr [ebx + ecx * 8 + 4], 0",
    "add eax, 0x200000",
    "inc ecx",
    "cmp ecx, 2048",
    "jb 2b",
    // Their pointer table, and one with the first of them at the second last place: that of the image.
    "mov ebx, offset boot_pointers",
    "mov eax, offset boot_directories + 3",
    "mov [ebx], eax",
    "mov [ebx + 4096 + 510 * 8], eax",
    "add eax, 4096",
    "mov [ebx + 8], eax",
    "add eax, 4096",
    "mov [ebx + 16], eax",
    "add eax, 4096",
    "mov [ebx + 24], eax",
    "mov edx, offset boot_root",
    "lea eax, [ebx + 3]",
    "mov [edx], eax",
    "mov [edx + 256 * 8], eax",
    "lea eax, [ebx + 4096 + 3]",
    "mov [edx + 511 * 8], eax",
    "mov cr3, edx",
    "mov eax, 0x620", // Physical address extension, FXSAVE, SSE exceptions; and not five levels of tables, say.
    "mov cr4, eax",
    "mov ecx, 0xc0000080", // EFER: long mode, no-execute.
    "rdmsr",
    "or eax, 0x900",
    "wrmsr",
    "mov eax, cr0",
    "and eax, 0x9ffffff3", // Caches on, no coprocessor emulation, no task switched.
    "or eax, 0x80010023",  // Paging, write protection, native FPU errors, monitor coprocessor, protected mode.
    "mov cr0, eax",
    "lgdt [boot_gdt_pointer]",
    "push 8", // A far return loads the 64-bit code segment.
    "mov eax, offset boot_long_mode",
    "push eax",
    "retf",
    // No 64-bit processor: say so where a screen in text mode shows it, and stop.
    "9:",
    "mov esi, offset boot_complaint",
    "mov edi, 0xb8000",
    "mov ah, 0x4f",
    "4: lodsb",
    "test al, al",
    "jz 5f",
    "stosw",
    "jmp 4b",
    "5: hlt",
    "jmp 5b",
    "boot_complaint: .asciz \"Selix needs a 64-bit processor with no-execute pages.\"",

    ".code64",
    "boot_long_mode:",
    "xor eax, eax",
    "mov ds, eax",
    "mov es, eax",
    "mov fs, eax",
    "mov gs, eax",
    "mov eax, 16",
    "mov ss, eax",
    "movabs rsp, offset {boot} + {stack_end}",
    "xor ebp, ebp",
    "movabs rax, offset kernel_main",
    "call rax",
    "ud2",

    ".section .boot.data, \"aw\"",
    ".balign 8",
    "boot_gdt: .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff",
    "boot_gdt_pointer: .short . - boot_gdt - 1",
    ".long boot_gdt",

    ".section .boot.bss, \"aw\", @nobits",
    ".balign 4096",
    "boot_root: .skip 4096",
    "boot_pointers: .skip 8192",
    "boot_directories: .skip 16384",
    ".skip 64",
    "boot_stack_end:",
    ".text",
    boot = sym STACKS,
    stack_end = const BOOT_STACK_END,
);
