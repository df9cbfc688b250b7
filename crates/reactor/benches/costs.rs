//! What the reactor's operations cost, in nanoseconds, as the median of several rounds.
//!
//! Counted is the thread's CPU time, so that a round that another program interrupts still compares;
//! caches that it leaves cold do show.
//!
//! Run with `cargo bench -p weftwork-reactor --bench costs`. No system call is in a figure unless
//! the line says so.

use std::hint::black_box;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use weftwork_reactor::{Direction, Driver, Events, Interest, Mode, Poller, Token, Wheel};

const ROUNDS: usize = 9;

/// Prints the median cost of one of the `operations` that each call of `round` performs.
fn report(name: &str, operations: usize, mut round: impl FnMut() -> Duration) {
    round();
    let mut costs: Vec<f64> = (0..ROUNDS)
        .map(|_| round().as_nanos() as f64 / operations as f64)
        .collect();
    costs.sort_by(f64::total_cmp);
    println!("{name:<58} {:>9.1} ns", costs[ROUNDS / 2]);
}

/// The CPU time that `body` takes.
fn timed(body: impl FnOnce()) -> Duration {
    let start = cpu_time();
    body();
    cpu_time() - start
}

fn cpu_time() -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the timespec is valid and outlives the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    assert_eq!(result, 0);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// A small generator of numbers: the wheel must not see an order it likes.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

const SECOND: u64 = 1_000_000_000;

fn timers() {
    const N: usize = 100_000;
    let waker = || Waker::noop().clone();
    let mut wheel = Wheel::new(0);
    let mut numbers = Numbers(88_172_645_463_325_252);
    let mut now = 0;

    report(
        "timer: arm and cancel, 30 s ahead, otherwise empty",
        N,
        || {
            timed(|| {
                for _ in 0..N {
                    let key = wheel.insert(now + 30 * SECOND, waker());
                    black_box(wheel.cancel(black_box(key)));
                }
            })
        },
    );
    let mut keys = Vec::with_capacity(N);
    let mut due = Vec::with_capacity(N);
    report("timer: arm 100k in 0..1 s", N, || {
        due.clear();
        wheel.advance(now + SECOND, &mut due);
        now += SECOND;
        timed(|| {
            for _ in 0..N {
                black_box(wheel.insert(now + numbers.below(SECOND), waker()));
            }
        })
    });
    now += SECOND;
    wheel.advance(now, &mut due);
    report(
        "timer: arm 100k in 0..1 s, then cancel all in that order",
        N,
        || {
            keys.clear();
            timed(|| {
                for _ in 0..N {
                    keys.push(wheel.insert(now + numbers.below(SECOND), waker()));
                }
                for key in &keys {
                    black_box(wheel.cancel(*key));
                }
            })
        },
    );
    report("timer: arm 100k in 0..1 s, fire all in one step", N, || {
        due.clear();
        let cost = timed(|| {
            for _ in 0..N {
                black_box(wheel.insert(now + numbers.below(SECOND), waker()));
            }
            now += SECOND;
            black_box(wheel.advance(now, &mut due));
        });
        assert_eq!(due.len(), N);
        cost
    });
    report(
        "timer: arm 100k in 0..1 s, fire each at its deadline",
        N,
        || {
            let mut fired = 0;
            let cost = timed(|| {
                for _ in 0..N {
                    black_box(wheel.insert(now + numbers.below(SECOND), waker()));
                }
                while let Some(next) = wheel.next_deadline() {
                    due.clear();
                    now = next;
                    fired += wheel.advance(next, &mut due);
                }
            });
            assert_eq!(fired, N);
            cost
        },
    );
    report(
        "timer: 100k armed, each fired and armed again at once",
        N,
        || {
            for _ in 0..N {
                wheel.insert(now + numbers.below(SECOND), waker());
            }
            let mut fired = 0;
            let cost = timed(|| {
                while fired < N {
                    due.clear();
                    now = wheel.next_deadline().unwrap();
                    fired += wheel.advance(now, &mut due);
                    for waker in due.drain(..) {
                        wheel.insert(now + SECOND, waker);
                    }
                }
            });
            due.clear();
            now += 2 * SECOND;
            wheel.advance(now, &mut due);
            cost
        },
    );
    report("timer: next_deadline, 10k armed", N, || {
        let keys: Vec<_> = (0..10_000)
            .map(|n| wheel.insert(now + n * 100_000, waker()))
            .collect();
        let cost = timed(|| {
            for _ in 0..N {
                black_box(black_box(&wheel).next_deadline());
            }
        });
        for key in keys {
            wheel.cancel(key);
        }
        cost
    });
}

fn readiness() {
    const N: usize = 100_000;
    let driver = Arc::new(Driver::new().unwrap());
    let (near, mut far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let registration = driver.register(near.as_raw_fd(), Interest::DUPLEX).unwrap();
    let mut events = Events::with_capacity(64);
    let mut context = Context::from_waker(Waker::noop());
    driver.turn(&mut events, Some(Duration::ZERO)).unwrap();

    report("registration: ready (snapshot)", N, || {
        timed(|| {
            for _ in 0..N {
                black_box(black_box(&registration).ready(Direction::Read));
            }
        })
    });
    report("registration: clear_ready, nothing to clear", N, || {
        timed(|| {
            for _ in 0..N {
                let seen = registration.ready(Direction::Read);
                black_box(&registration).clear_ready(Direction::Read, seen);
            }
        })
    });
    report("registration: readiness queued and dropped", N, || {
        timed(|| {
            for _ in 0..N {
                let mut readable = registration.readiness(Direction::Read);
                assert!(Pin::new(&mut readable).poll(&mut context).is_pending());
            }
        })
    });
    report("registration: poll_ready, pending", N, || {
        timed(|| {
            for _ in 0..N {
                assert!(
                    registration
                        .poll_ready(Direction::Read, &mut context)
                        .is_pending()
                );
            }
        })
    });
    driver.turn(&mut events, Some(Duration::ZERO)).unwrap();
    report(
        "turn: nothing ready, timeout zero (1 system call)",
        N,
        || {
            timed(|| {
                for _ in 0..N {
                    black_box(driver.turn(&mut events, Some(Duration::ZERO)).unwrap());
                }
            })
        },
    );
    const ECHOES: usize = 20_000;
    let mut byte = [0];
    report(
        "byte: write, turn, wake, read, EAGAIN, clear, park (4 calls)",
        ECHOES,
        || {
            timed(|| {
                for _ in 0..ECHOES {
                    let mut readable = registration.readiness(Direction::Read);
                    assert!(Pin::new(&mut readable).poll(&mut context).is_pending());
                    far.write_all(b"x").unwrap();
                    assert!(driver.turn(&mut events, None).unwrap().events > 0);
                    assert!(Pin::new(&mut readable).poll(&mut context).is_ready());
                    let read = || (&near).read(&mut byte);
                    assert_eq!(registration.try_io(Direction::Read, read).unwrap(), 1);
                    let read = || (&near).read(&mut byte);
                    assert!(registration.try_io(Direction::Read, read).is_err());
                }
            })
        },
    );
    // The same system calls on a bare poller: what is left over is the driver's share.
    let poller = Poller::new().unwrap();
    drop(registration);
    poller
        .add(
            near.as_raw_fd(),
            Token::new(0, 0),
            Interest::DUPLEX,
            Mode::Edge,
        )
        .unwrap();
    poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    report("byte: the same 4 calls on a bare poller", ECHOES, || {
        timed(|| {
            for _ in 0..ECHOES {
                far.write_all(b"x").unwrap();
                assert!(poller.wait(&mut events, None).unwrap() > 0);
                assert_eq!((&near).read(&mut byte).unwrap(), 1);
                assert!((&near).read(&mut byte).is_err());
            }
        })
    });
    report(
        "register and drop (2 system calls, 2 getpid)",
        ECHOES,
        || {
            timed(|| {
                for _ in 0..ECHOES {
                    black_box(driver.register(near.as_raw_fd(), Interest::DUPLEX).unwrap());
                }
            })
        },
    );
    report("wake while awake (none)", N, || {
        timed(|| {
            for _ in 0..N {
                driver.wake().unwrap();
            }
        })
    });
    report("turn with a wake waiting (1 system call)", ECHOES, || {
        timed(|| {
            for _ in 0..ECHOES {
                driver.wake().unwrap();
                assert!(driver.turn(&mut events, None).unwrap().notified);
            }
        })
    });
}

/// Events of 256 descriptors, applied in one turn.
fn batch() {
    const STREAMS: usize = 256;
    let driver = Arc::new(Driver::new().unwrap());
    let pairs: Vec<_> = (0..STREAMS).map(|_| UnixStream::pair().unwrap()).collect();
    let registrations: Vec<_> = pairs
        .iter()
        .map(|(near, _)| driver.register(near.as_raw_fd(), Interest::DUPLEX).unwrap())
        .collect();
    let mut events = Events::with_capacity(STREAMS);
    let mut context = Context::from_waker(Waker::noop());
    driver.turn(&mut events, Some(Duration::ZERO)).unwrap();
    report(
        "turn: 256 ready, all with a waiter, per event",
        STREAMS,
        || {
            for ((near, far), registration) in pairs.iter().zip(&registrations) {
                near.set_nonblocking(true).unwrap();
                let mut bytes = [0; 16];
                while registration
                    .try_io(Direction::Read, || (&*near).read(&mut bytes))
                    .is_ok()
                {}
                assert_eq!(
                    registration.poll_ready(Direction::Read, &mut context),
                    Poll::Pending
                );
                (&*far).write_all(b"x").unwrap();
            }
            timed(|| assert_eq!(driver.turn(&mut events, None).unwrap().woken, STREAMS))
        },
    );
}

fn main() {
    timers();
    readiness();
    batch();
}
