# Connects gdb to the system that `make debug` has started. From the top folder: gdb -x tools/selix.gdb
#
# `c` goes on. The kernel's symbols are loaded; `program NAME` adds those of a boot program. All programs have the same
# addresses, so add the one whose code you stop in, and take it away again with `remove-symbol-file`.

set pagination off
set confirm off
set disassembly-flavor intel

file build/debug/selix/kernel
target remote localhost:1234

# Hardware breakpoints: the kernel's pages are not there yet at the first instruction.
hbreak rust_begin_unwind

define program
  add-symbol-file build/debug/selix/$arg0
end
document program
program NAME: adds the symbols of the boot program NAME.
end
