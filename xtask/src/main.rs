//! Tasks of the workshop: `cargo xtask test` and its parts.
fn main() {}
