#[weftwork::main]
fn start() {}

#[weftwork::test]
fn with_arguments(_port: u16) {}

#[weftwork::test]
fn generic<T>() {}

#[weftwork::test]
extern "C" fn foreign() {}

#[weftwork::test]
struct NoFunction;

fn main() {}
