//! Links a program of Selix.

fn main() {
    bare_link::program();
}
