//! Channels as streams and sinks.

#![cfg(not(weftwork_loom))]

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};
use weftwork_csp::{RecvStream, SendError, SendSink, TrySendError, bounded, tick, unbounded};
use weftwork_sched::Runtime;
use weftwork_testkit::{DropCounter, iters, watchdog};

const PATIENCE: Duration = Duration::from_secs(60);

/// A waker that counts its calls.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Calls {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll_next<T>(stream: &mut RecvStream<T>, calls: &Arc<Calls>) -> Poll<Option<T>> {
    let waker = Waker::from(Arc::clone(calls));
    Pin::new(stream).poll_next(&mut Context::from_waker(&waker))
}

async fn next<T>(stream: &mut RecvStream<T>) -> Option<T> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

type Step<T> = fn(Pin<&mut SendSink<T>>, &mut Context<'_>) -> Poll<Result<(), SendError<T>>>;

fn poll_sink<T>(sink: &mut SendSink<T>, step: Step<T>, calls: &Arc<Calls>) -> Poll<bool> {
    let waker = Waker::from(Arc::clone(calls));
    step(Pin::new(sink), &mut Context::from_waker(&waker)).map(|sent| sent.is_ok())
}

async fn feed<T>(sink: &mut SendSink<T>, message: T) -> Result<(), SendError<T>> {
    poll_fn(|context| Pin::new(&mut *sink).poll_ready(context)).await?;
    Pin::new(sink).start_send(message)
}

async fn flush<T>(sink: &mut SendSink<T>) -> Result<(), SendError<T>> {
    poll_fn(|context| Pin::new(&mut *sink).poll_flush(context)).await
}

#[test]
fn a_stream_gives_what_was_sent_and_stays_ended() {
    let calls = Arc::<Calls>::default();
    let (s, r) = unbounded();
    let mut stream = r.stream();
    assert!(stream.receiver().same_channel(&r));
    assert!(poll_next(&mut stream, &calls).is_pending());
    s.send_many([1, 2]).unwrap();
    assert_eq!(calls.get(), 1);
    assert_eq!(poll_next(&mut stream, &calls), Poll::Ready(Some(1)));
    s.close();
    assert_eq!(poll_next(&mut stream, &calls), Poll::Ready(Some(2)));
    assert!(!stream.is_terminated());
    for _ in 0..3 {
        assert_eq!(poll_next(&mut stream, &calls), Poll::Ready(None));
        assert!(stream.is_terminated());
    }
}

#[test]
fn a_stream_keeps_its_place_in_line_from_poll_to_poll() {
    let calls: [Arc<Calls>; 2] = Default::default();
    let (s, r) = unbounded();
    let (mut first, mut second) = (r.stream(), r.stream());
    assert!(poll_next(&mut first, &calls[0]).is_pending());
    assert!(poll_next(&mut second, &calls[1]).is_pending());
    assert!(poll_next(&mut first, &calls[0]).is_pending());
    s.send(1).unwrap();
    assert_eq!((calls[0].get(), calls[1].get()), (1, 0));
    assert_eq!(poll_next(&mut first, &calls[0]), Poll::Ready(Some(1)));
}

#[test]
fn a_stream_that_is_dropped_loses_no_message_and_tells_the_next() {
    for capacity in [Some(0), Some(1), None] {
        let calls: [Arc<Calls>; 2] = Default::default();
        let (s, r) = capacity.map_or_else(unbounded, bounded);
        let (mut first, mut second) = (r.stream(), r.stream());
        assert!(poll_next(&mut first, &calls[0]).is_pending());
        assert!(poll_next(&mut second, &calls[1]).is_pending());
        s.try_send(1).unwrap();
        assert_eq!((calls[0].get(), calls[1].get()), (1, 0));
        drop(first);
        assert_eq!(calls[1].get(), 1);
        assert_eq!(poll_next(&mut second, &calls[1]), Poll::Ready(Some(1)));
    }
}

#[test]
fn a_clock_is_a_stream_too() {
    let _dog = watchdog(PATIENCE);
    let start = Instant::now();
    let mut ticks = tick(Duration::from_millis(2)).stream();
    weftwork_core::block_on(async {
        next(&mut ticks).await.unwrap();
        next(&mut ticks).await.unwrap();
    });
    assert!(start.elapsed() >= Duration::from_millis(4));
}

#[test]
fn a_sink_holds_back_one_message_which_waits_in_line() {
    let calls = Arc::<Calls>::default();
    let (s, r) = bounded(1);
    let mut sink = s.sink();
    assert!(sink.sender().same_channel(&s));
    for (n, flushed) in [(1, Poll::Ready(true)), (2, Poll::Pending)] {
        assert_eq!(
            poll_sink(&mut sink, Sink::poll_ready, &calls),
            Poll::Ready(true)
        );
        Pin::new(&mut sink).start_send(n).unwrap();
        assert_eq!(poll_sink(&mut sink, Sink::poll_flush, &calls), flushed);
    }
    assert!(poll_sink(&mut sink, Sink::poll_ready, &calls).is_pending());
    assert!(poll_sink(&mut sink, Sink::poll_close, &calls).is_pending());
    assert_eq!(r.recv(), Ok(1));
    assert_eq!(calls.get(), 1);
    assert_eq!(
        r.len(),
        1,
        "it is in the channel, whether it is flushed or not"
    );
    assert_eq!(
        poll_sink(&mut sink, Sink::poll_flush, &calls),
        Poll::Ready(true)
    );
    assert_eq!(r.recv(), Ok(2));
}

#[test]
fn a_sink_that_is_dropped_drops_the_message_it_holds_back() {
    let drops = DropCounter::new();
    let calls = Arc::<Calls>::default();
    let (s, r) = bounded(0);
    let mut sink = s.sink();
    Pin::new(&mut sink).start_send(drops.track(1)).unwrap();
    assert!(poll_sink(&mut sink, Sink::poll_flush, &calls).is_pending());
    drops.assert_live(1);
    drop(sink);
    drops.assert_none_live();
    assert!(r.try_recv().is_err());
    assert_eq!(s.sender_count(), 1);
}

#[test]
fn a_sink_gives_back_what_nobody_will_receive() {
    let (s, r) = bounded(1);
    let mut sink = s.sink();
    Pin::new(&mut sink).start_send(1).unwrap();
    Pin::new(&mut sink).start_send(2).unwrap();
    r.close();
    let flushed = weftwork_core::block_on(flush(&mut sink));
    assert_eq!(flushed, Err(SendError(2)));
    let refused = Pin::new(&mut sink).start_send(3);
    assert_eq!(refused, Err(SendError(3)));
    assert_eq!(s.try_send(4), Err(TrySendError::Disconnected(4)));
    assert_eq!(r.iter().collect::<Vec<_>>(), [1]);
}

#[test]
fn sinks_and_streams_on_tokio_and_green_threads_lose_no_message() {
    let _dog = watchdog(PATIENCE);
    let count = iters(20_000, 2_000, 100);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    for capacity in [Some(0), Some(3), None] {
        let (s, r) = capacity.map_or_else(unbounded, bounded);
        let mut sink = s.sink();
        let sending = tokio.spawn(async move {
            for n in 0..count {
                feed(&mut sink, n).await.unwrap();
            }
            flush(&mut sink).await.unwrap();
        });
        let mut sink = s.sink();
        let green = runtime.spawn(move || {
            weftwork_core::block_on(async {
                for n in 0..count {
                    feed(&mut sink, n).await.unwrap();
                }
                flush(&mut sink).await.unwrap();
            });
        });
        let on_thread = thread::spawn(move || (0..count).for_each(|n| s.send(n).unwrap()));
        let mut stream = r.stream();
        let receiving = tokio.spawn(async move {
            let mut sum = 0;
            loop {
                // One that is given up now and then keeps its place, and what it was told.
                tokio::select! {
                    biased;
                    received = next(&mut stream) => match received {
                        Some(n) => sum += n,
                        None => return sum,
                    },
                    () = tokio::task::yield_now() => {}
                }
            }
        });
        let mut stream = pin!(r.stream());
        drop(r);
        let mut sum = 0;
        weftwork_core::block_on(async {
            while let Some(n) = next(&mut stream).await {
                sum += n;
            }
        });
        sum += tokio.block_on(receiving).unwrap();
        assert_eq!(sum, 3 * count * (count - 1) / 2);
        tokio.block_on(sending).unwrap();
        green.join().unwrap();
        on_thread.join().unwrap();
    }
}
