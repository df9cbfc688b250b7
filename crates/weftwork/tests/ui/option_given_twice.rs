#[weftwork::main(workers = 4, name = "a", workers = 2)]
fn main() {}
