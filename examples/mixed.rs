//! Four kinds of worker hand a number on: an OS thread, a green thread, a future, and a task of
//! another executor (tokio). Each waits in its own way for the one before it.
//!
//! `cargo run --release --example mixed`

use std::time::Duration;

use weftwork::prelude::*;
use weftwork::time::sleep_async;

#[weftwork::main(workers = 2)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = weftwork::Handle::current().expect("main runs on a runtime");

    // An OS thread. Spawns from outside go through a handle.
    let os_thread = std::thread::spawn(move || {
        let seed = runtime.spawn(|| 1);
        seed.join().map(|seed| seed + 1)
    });

    // A green thread. What blocks its thread for long goes to the pool for that.
    let green = spawn(move || {
        let number = blocking(|| os_thread.join().expect("it does not panic"))?;
        sleep(Duration::from_millis(1));
        Ok::<u32, JoinError>(number * 10)
    });

    // A future. It awaits the green thread.
    let future = spawn_async(async move {
        let number = green.await??;
        sleep_async(Duration::from_millis(1)).await;
        Ok::<u32, JoinError>(number + 1)
    });

    // A task of tokio. It awaits our future, as it would any other.
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()?;
    let foreign = tokio.spawn(async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        future.await?.map(|number| number * 2)
    });

    // And this green thread waits for tokio's.
    let number = block_on(foreign)??;
    println!("handed on: {number}");
    assert_eq!(number, 42);

    // Tokio forbids dropping its runtime where its own tasks run; here is no such place, but the
    // drop waits for its threads, so it belongs where waiting does no harm.
    blocking(|| drop(tokio));
    Ok(())
}
