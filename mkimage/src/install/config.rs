//! The entries for GRUB's menu.

use super::set::BootSet;
use crate::grub;

/// Our file beside the user's `grub.cfg`.
pub const CONFIG: &str = "boot/grub/selix.cfg";
/// The line that takes our entries into the user's `grub.cfg`.
pub const INCLUDE_LINE: &str = "source $prefix/selix.cfg";

/// GRUB commands: `/boot` may be a file system of its own.
const FIND_DIR: &str = "if [ -d /boot/selix ]; then set selix_dir=/boot/selix; else set selix_dir=/selix; fi\n";

/// Our entries: one for each boot set, in the order given.
pub(super) fn text(sets: &[BootSet]) -> String {
    let entries: String = sets.iter().map(entry).collect();
    format!(
        "# Made by `mkimage install`, which replaces it: change nothing here.\n\
         {FIND_DIR}{entries}"
    )
}

fn entry(set: &BootSet) -> String {
    let BootSet { name, version, .. } = set;
    let commands = grub::load_commands(&format!("$selix_dir/{version}"), &set.cmdline, set.modules());
    format!("menuentry \"Selix {version} ({name})\" --id selix-{version} {{\n{commands}}}\n")
}

/// GRUB commands that load the plain copies, whatever programs there are: for a configuration that never changes.
pub(super) fn plain_text(set: &BootSet) -> String {
    let commands = grub::load_commands("$selix_dir/latest", &set.cmdline, set.modules());
    format!("# Made by `mkimage install`: loads the files beside it.\n{FIND_DIR}{commands}")
}
