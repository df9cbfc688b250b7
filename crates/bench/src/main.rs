//! Benchmarks of Weftwork and of its peers, in one binary.
fn main() {}
