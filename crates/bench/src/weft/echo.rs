//! The echo server: plain blocking code, one green thread per connection.

use std::io::{self, Read, Write};

use super::{TcpListener, TcpStream, runtime, spawn};
use crate::cli::Run;
use crate::peers::server;
use crate::workload::ECHO_BUFFER;

fn serve(mut stream: TcpStream) {
    let mut buffer = [0; ECHO_BUFFER];
    while let Ok(read) = stream.read(&mut buffer) {
        if read == 0 || stream.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
}

pub(super) fn echo(run: &Run) -> io::Result<()> {
    let address = server::address(run);
    let announced = run.clone();
    runtime(run).run(move || {
        let listener = TcpListener::bind(address)?;
        server::announce(&announced, "weftwork");
        loop {
            let Ok((stream, _)) = listener.accept() else {
                continue;
            };
            // Without it the figures would show delayed acknowledgements.
            let _ = stream.set_nodelay(true);
            drop(spawn(move || serve(stream)));
        }
    })
}
