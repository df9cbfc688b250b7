//! The echo server on monoio: one single-threaded runtime per worker, each with a listening socket
//! of its own on the same port.
//!
//! Peers: `monoio` (the driver named by `--driver`, io_uring by default) and `monoio-epoll`.

use std::io;
use std::net::TcpListener;
use std::thread;

use ::monoio as rt;
use rt::io::{AsyncReadRent, AsyncWriteRentExt};
use rt::{IoUringDriver, LegacyDriver, RuntimeBuilder};

use crate::cli::{Driver, Run};
use crate::peers::server;
use crate::registry::{Bench, Entry};
use crate::workload::ECHO_BUFFER;

pub(crate) const ENTRIES: &[Entry] = &[
    Entry::serve(Bench::Echo, "monoio", |run| echo(run, "monoio", run.driver)),
    Entry::serve(Bench::Echo, "monoio-epoll", |run| {
        echo(run, "monoio-epoll", Driver::Legacy)
    }),
];

/// Submission entries of a ring.
const RING: u32 = 4096;

async fn serve(mut stream: rt::net::TcpStream) {
    let mut buffer = Vec::with_capacity(ECHO_BUFFER);
    loop {
        let (read, filled) = stream.read(buffer).await;
        if !matches!(read, Ok(read) if read > 0) {
            return;
        }
        let (written, returned) = stream.write_all(filled).await;
        if written.is_err() {
            return;
        }
        buffer = returned;
        buffer.clear();
    }
}

async fn accept(listener: TcpListener) {
    let listener = rt::net::TcpListener::from_std(listener).expect("a listening socket");
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        // Without it the figures would show delayed acknowledgements.
        let _ = stream.set_nodelay(true);
        rt::spawn(serve(stream));
    }
}

fn echo(run: &Run, peer: &str, driver: Driver) -> io::Result<()> {
    let mut workers = Vec::new();
    for _ in 0..run.workers {
        let listener = server::listen(run, true)?;
        listener.set_nonblocking(driver == Driver::Legacy)?;
        workers.push(thread::spawn(move || -> io::Result<()> {
            match driver {
                Driver::Legacy => {
                    RuntimeBuilder::<LegacyDriver>::new()
                        .build()?
                        .block_on(accept(listener));
                }
                Driver::Uring => {
                    let builder = RuntimeBuilder::<IoUringDriver>::new();
                    builder
                        .with_entries(RING)
                        .build()?
                        .block_on(accept(listener));
                }
            }
            Ok(())
        }));
    }
    server::announce(run, peer);
    for worker in workers {
        worker
            .join()
            .map_err(|_| io::Error::other("a worker panicked"))??;
    }
    Ok(())
}
