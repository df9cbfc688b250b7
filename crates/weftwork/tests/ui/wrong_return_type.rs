#[weftwork::main]
fn main() -> String {
    String::from("no exit status")
}
