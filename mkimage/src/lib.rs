//! Builds, checks, installs and runs images of Selix.
