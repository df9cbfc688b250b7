//! The attributes `main` and `test`, on every form of function they take.
#![cfg(feature = "macros")]

use std::error::Error;
use std::process::{ExitCode, Termination};
use std::rc::Rc;

/// Where the runtime names its threads.
fn thread_name() -> String {
    std::thread::current().name().unwrap_or("").to_owned()
}

#[weftwork::test]
fn a_plain_test_runs_on_a_green_thread() {
    assert!(weftwork::current().id().is_some());
    assert_eq!(weftwork::spawn(|| 6 * 7).join().unwrap(), 42);
}

#[weftwork::test]
async fn an_async_test_need_not_be_send() {
    let here = Rc::new(1);
    let there = weftwork::spawn_async(async { 41 }).await.unwrap();
    assert_eq!(*here + there, 42);
}

#[weftwork::test]
fn there_are_two_workers_unless_said() {
    assert_eq!(weftwork::Handle::current().unwrap().stats().workers, 2);
}

const THREE: usize = 3;

#[weftwork::test(workers = THREE, name = "entry", flavor = "multi",)]
fn options_reach_the_builder() {
    assert_eq!(weftwork::Handle::current().unwrap().stats().workers, 3);
    assert!(thread_name().starts_with("entry-"), "{}", thread_name());
}

#[weftwork::test(flavor = "local")]
fn a_local_runtime_stays_on_the_thread_of_the_test() {
    // The harness names its threads after the tests.
    assert!(thread_name().ends_with("a_local_runtime_stays_on_the_thread_of_the_test"));
}

#[weftwork::test(crate = ::weftwork)]
fn the_crate_may_be_named() {}

#[weftwork::test]
#[should_panic(expected = "as written")]
fn a_panic_keeps_its_message() {
    panic!("as written");
}

#[weftwork::test]
fn an_error_need_not_be_send() -> Result<(), Box<dyn Error>> {
    let number: u8 = "5".parse()?;
    assert_eq!(number, 5);
    Ok(())
}

#[weftwork::test]
fn a_return_type_may_be_opaque() -> impl Termination {
    ExitCode::SUCCESS
}

mod as_main {
    /// As [`main`](super::as_main::main) of a program, but called by a test.
    #[weftwork::main(workers = 1)]
    pub(crate) async fn main() -> Result<(), std::num::ParseIntError> {
        let _: u8 = "not a number".parse()?;
        Ok(())
    }
}

#[test]
fn an_error_of_main_becomes_the_exit_status() {
    // An exit code tells nothing but by its report.
    assert_eq!(
        format!("{:?}", as_main::main()),
        format!("{:?}", ExitCode::FAILURE)
    );
}
