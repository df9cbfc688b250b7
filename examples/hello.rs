//! Green threads in five minutes: spawn one, join it, lend it something from the stack.
//!
//! `cargo run --release --example hello`

use std::time::Duration;

use weftwork::prelude::*;

#[weftwork::main]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A green thread waits in plain blocking style. Its worker goes on with others meanwhile.
    let greeting = spawn(|| {
        sleep(Duration::from_millis(10));
        String::from("hello")
    });

    // The green threads of a scope may borrow: the scope does not end before they have.
    let words = ["warp", "weft", "loom", "shuttle"];
    let mut lengths = [0; 4];
    scope(|s| {
        for (word, length) in words.iter().zip(&mut lengths) {
            s.spawn(|| *length = word.len());
        }
    });

    let greeting = greeting.join()?;
    println!("{greeting}, the words have {lengths:?} letters");
    assert_eq!((greeting.as_str(), lengths), ("hello", [4, 4, 4, 7]));

    // A panic stays in its task and becomes the result of the join, with the place of the spawn.
    // Built with panic=abort, it would end the program.
    if cfg!(panic = "unwind") {
        let failed = spawn(|| -> u32 { std::panic::resume_unwind(Box::new("no such yarn")) });
        let error = failed.join().expect_err("it does not return");
        println!("and {error}");
        assert!(error.is_panic());
        assert!(error.to_string().contains("hello.rs"));
    }
    Ok(())
}
