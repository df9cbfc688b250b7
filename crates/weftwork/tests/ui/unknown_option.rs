#[weftwork::main(wrkers = 4)]
fn main() {}
