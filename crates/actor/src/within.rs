//! A future with a time limit, on the timers that need no runtime.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Waits for `future`, at most for `timeout`; `None` if the time was over first.
pub(crate) async fn within<F: Future>(timeout: Option<Duration>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    #[cfg(not(weftwork_loom))]
    let mut sleep = timeout.map(weftwork_core::timer::sleep);
    #[cfg(weftwork_loom)]
    let _ = timeout;
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        #[cfg(not(weftwork_loom))]
        if let Some(sleep) = &mut sleep
            && std::pin::Pin::new(sleep).poll(context).is_ready()
        {
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await
}
