//! Memory transactions between the kinds of tasks, by what the prelude offers.
#![cfg(feature = "stm")]

use std::time::Duration;
use weftwork::prelude::*;
use weftwork::stm;

/// Takes `amount` out of `balance`, and waits until there is enough.
fn withdraw(tx: &Tx, balance: &TVar<u64>, amount: u64) -> Stm<()> {
    let left = balance.get(tx)?.checked_sub(amount);
    balance.set(tx, left.map_or_else(|| tx.retry(), Ok)?)
}

#[weftwork::test]
fn threads_green_threads_and_futures_wait_for_one_another() {
    let balance = TVar::new(0);
    let of_green = spawn({
        let balance = balance.clone();
        move || atomically(|tx| withdraw(tx, &balance, 1))
    });
    let of_future = spawn_async({
        let balance = balance.clone();
        async move { atomically_async(|tx| withdraw(tx, &balance, 10)).await }
    });
    let of_thread = std::thread::spawn({
        let balance = balance.clone();
        move || atomically(|tx| withdraw(tx, &balance, 100))
    });
    for _ in 0..111 {
        atomically(|tx| balance.update(tx, |n| n + 1));
    }
    of_green.join().unwrap();
    of_future.join().unwrap();
    blocking(|| of_thread.join().unwrap());
    assert_eq!(snapshot(|s| *balance.view(s)), 0);
}

#[weftwork::test]
fn a_transaction_chooses_between_a_task_and_a_time() {
    let task = stm::bridge::TEvent::new(spawn(|| 6 * 7));
    let limit = stm::bridge::after(Duration::from_secs(600));
    let answer = atomically(|tx| {
        tx.or_else(
            |tx| Ok(task.get(tx)?.as_ref().ok().copied()),
            |tx| limit.get(tx).map(|()| None),
        )
    });
    assert_eq!(answer, Some(42));
}

#[weftwork::test]
fn an_abort_gives_its_reason() {
    let balance = TVar::new(5);
    let paid: Result<(), &str> = try_atomically(|tx| match *balance.get(tx)? {
        n if n < 7 => stm::abort("too poor"),
        n => Ok(balance.set(tx, n - 7)?),
    });
    assert_eq!(paid, Err("too poor"));
    assert_eq!(balance.load(), 5);
}
