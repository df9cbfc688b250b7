//! The attributes `#[weftwork::main]` and `#[weftwork::test]`, which put a function on a runtime.
//!
//! Use them through the crate `weftwork`: what they expand to names its items.
#![forbid(unsafe_code)]

mod entry;
mod options;

use entry::Kind;
use proc_macro::TokenStream;

/// Runs `main` as a green thread of a runtime that is started for it and ended after it.
///
/// The function may be plain or `async`, and return whatever `main` may return; an error is printed
/// and becomes the exit status as usual. Its body need not be `Send`. When it returns, the runtime
/// is dropped, which cancels the tasks that are left: join those that matter.
///
/// Options, all of them optional:
///
/// - `workers = N`: the number of worker threads, an expression of type `usize`; by default as many
///   as there are processors;
/// - `flavor = "multi"` (the default) or `"local"`: worker threads, or none but the main thread;
/// - `name = "…"`: what the threads are called;
/// - `crate = path`: where the crate `weftwork` is found if it was renamed.
///
/// ```
/// use weftwork::prelude::*;
///
/// #[weftwork::main(workers = 2, name = "squares")]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let squares: Vec<_> = (0..4).map(|n| spawn(move || n * n)).collect();
///     let mut sum = 0;
///     for square in squares {
///         sum += square.join()?;
///     }
///     assert_eq!(sum, 14);
///     Ok(())
/// }
/// ```
///
/// ```
/// use std::time::Duration;
///
/// #[weftwork::main(flavor = "local")]
/// async fn main() {
///     weftwork::time::sleep_async(Duration::from_millis(1)).await;
/// }
/// ```
#[proc_macro_attribute]
pub fn main(options: TokenStream, function: TokenStream) -> TokenStream {
    entry::expand(Kind::Main, options.into(), function.into()).into()
}

/// Runs a test as a green thread of a runtime of its own.
///
/// As [`macro@main`], with the same options, except that there are two workers by default, so that a
/// test means the same on every machine. The function may return whatever a test may return;
/// `#[should_panic]` and `#[ignore]` work. The runtime is dropped after the test, which cancels the
/// tasks that are left.
///
/// ```
/// #[weftwork::test]
/// fn children_are_joined() {
///     assert_eq!(weftwork::spawn(|| 6 * 7).join().unwrap(), 42);
/// }
///
/// #[weftwork::test(flavor = "local")]
/// async fn futures_are_joined() -> Result<(), weftwork::task::JoinError> {
///     let answer = weftwork::spawn_async(async { 6 * 7 }).await?;
///     assert_eq!(answer, 42);
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn test(options: TokenStream, function: TokenStream) -> TokenStream {
    entry::expand(Kind::Test, options.into(), function.into()).into()
}
