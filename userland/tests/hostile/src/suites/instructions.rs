//! Victims that execute instructions of the kernel's. The others go on.
#![no_std]
#![no_main]

mod privileged {
    use hostile::Deed;
    use hostile::suite::stops;
    use suite::Outcome;

    /// Selectors of ring 0, for code and data.
    const KERNEL_CODE: u64 = 0x08;
    const KERNEL_DATA: u64 = 0x10;
    /// Beyond every descriptor table.
    const NO_SELECTOR: u64 = 0xfff8 | 3;

    macro_rules! stops {
        ($($name:ident: $deed:ident $argument:expr;)+) => {
            $(pub(crate) fn $name() -> Outcome {
                stops(Deed::$deed, $argument)
            })+
        };
    }

    stops! {
        cli: Cli 0;
        sti: Sti 0;
        hlt: Hlt 0;
        in_: In 0;
        out: Out 0;
        insb: Ins 0;
        outsb: Outs 0;
        rdmsr: Rdmsr 0;
        wrmsr: Wrmsr 0;
        rdpmc: Rdpmc 0;
        reads_cr0: ReadCr0 0;
        writes_cr0: WriteCr0 0;
        reads_cr3: ReadCr3 0;
        writes_cr3: WriteCr3 0;
        writes_cr4: WriteCr4 0;
        writes_cr8: WriteCr8 0;
        writes_dr7: WriteDr7 0;
        lgdt: Lgdt 0;
        lidt: Lidt 0;
        lldt: Lldt 0;
        ltr: Ltr 0;
        lmsw: Lmsw 0;
        clts: Clts 0;
        invd: Invd 0;
        wbinvd: Wbinvd 0;
        invlpg: Invlpg 0;
        swapgs: Swapgs 0;
        sysret: Sysret 0;
        sysexit: Sysexit 0;
        sysenter: Sysenter 0;
        xsetbv: Xsetbv 0;
        monitor: Monitor 0;
        rdfsbase: Rdfsbase 0;
        wrfsbase: Wrfsbase 0;
        wrgsbase: Wrgsbase 0;
        loads_ds_of_the_kernel: LoadDs KERNEL_DATA;
        loads_es_of_the_kernel: LoadEs KERNEL_DATA;
        loads_fs_of_the_kernel: LoadFs KERNEL_DATA;
        loads_gs_of_the_kernel: LoadGs KERNEL_DATA;
        loads_ss_of_the_kernel: LoadSs KERNEL_DATA;
        loads_ds_with_kernel_code: LoadDs KERNEL_CODE;
        loads_gs_beyond_the_table: LoadGs NO_SELECTOR;
        loads_a_null_ss: LoadSs 0;
    }
}

suite::suite! {
    privileged {
        cli, sti, hlt, in_, out, insb, outsb, rdmsr, wrmsr, rdpmc, reads_cr0, writes_cr0, reads_cr3, writes_cr3,
        writes_cr4, writes_cr8, writes_dr7, lgdt, lidt, lldt, ltr, lmsw, clts, invd, wbinvd, invlpg, swapgs, sysret,
        sysexit, sysenter, xsetbv, monitor, rdfsbase, wrfsbase, wrgsbase, loads_ds_of_the_kernel,
        loads_es_of_the_kernel, loads_fs_of_the_kernel, loads_gs_of_the_kernel, loads_ss_of_the_kernel,
        loads_ds_with_kernel_code, loads_gs_beyond_the_table, loads_a_null_ss,
    }
}
