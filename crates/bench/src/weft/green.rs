//! Green threads, as a place of blocking code.

use std::time::Duration;

use super::{JoinHandle, drive, sleep, spawn};
use crate::cli::Run;
use crate::place::Place;

/// Green threads of one runtime.
#[derive(Debug)]
pub(crate) enum GreenThreads {}

impl Place for GreenThreads {
    type Handle<T: Send + 'static> = JoinHandle<T>;

    fn drive<T, F>(run: &Run, driver: F) -> T
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        drive(run, driver)
    }

    fn spawn<T, F>(body: F) -> Self::Handle<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        spawn(body)
    }

    fn sleep(duration: Duration) {
        sleep(duration);
    }

    fn join<T: Send + 'static>(handle: Self::Handle<T>) -> T {
        handle.join().expect("a green thread does not panic")
    }
}
