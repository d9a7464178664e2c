//! What GRUB reads: the configuration of an ISO, and the commands that boot a set of files.

use std::fmt::Write;

/// Directory of the boot files, below the root of the file system that GRUB reads.
pub const BOOT_DIR: &str = "boot/selix";

/// The commands that load a boot set, one in each line. `dir` is where GRUB finds its files, `modules` are the names of
/// the others beside the kernel: file names and, as the kernel matches modules by name, their strings.
pub fn load_commands<'a>(dir: &str, cmdline: &str, modules: impl Iterator<Item = &'a str>) -> String {
    let words = cmdline.split(' ').filter(|w| !w.is_empty());
    let arguments: String = words.flat_map(|word| [" ".to_owned(), quoted(word)]).collect();
    let mut text = format!("    multiboot2 {dir}/{}{arguments}\n", crate::manifest::KERNEL_NAME);
    for name in modules {
        writeln!(text, "    module2 {dir}/{name} {name}").expect("a string takes all");
    }
    text + SCREEN
}

/// The `grub.cfg` of an ISO: boots its one entry at once.
pub fn iso_config<'a>(title: &str, cmdline: &str, modules: impl Iterator<Item = &'a str>) -> String {
    let commands = load_commands(&format!("/{BOOT_DIR}"), cmdline, modules);
    format!(
        "# Made by mkimage.\n\
         set timeout=0\n\
         set default=0\n\
         serial --unit=0 --speed=115200\n\
         terminal_input console serial\n\
         terminal_output console serial\n\
         menuentry \"{title}\" {{\n{commands}}}\n"
    )
}

/// Chooses the screen. It comes last: loading a kernel that accepts a framebuffer makes GRUB ask for one.
///
/// Machines with UEFI have no text mode: there the kernel is given the framebuffer that the firmware drives. (Of GRUB's
/// other video drivers some claim QEMU's card too, and leave the screen black.) With a BIOS it writes VGA text.
const SCREEN: &str = "    if [ \"$grub_platform\" = \"efi\" ]; then insmod efi_gop; else set gfxpayload=text; fi\n";

/// A word as GRUB's shell takes it literally. Command lines have no quotes, see [`crate::manifest::is_cmdline`].
fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"=.,_-/:+@%".contains(&b);
    if word.bytes().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_load_kernel_and_modules_by_name() {
        let text = load_commands("/boot/selix", "a=1 b;c", ["boot-table", "echo"].into_iter());
        let expected = "    multiboot2 /boot/selix/kernel a=1 'b;c'\n    module2 /boot/selix/boot-table boot-table\n    \
                        module2 /boot/selix/echo echo\n";
        assert_eq!(text, format!("{expected}{SCREEN}"));
        let text = load_commands("/x", "", std::iter::empty());
        assert_eq!(text, format!("    multiboot2 /x/kernel\n{SCREEN}"));
    }
}
