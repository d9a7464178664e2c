//! Runs an image in QEMU and judges what it reports.
