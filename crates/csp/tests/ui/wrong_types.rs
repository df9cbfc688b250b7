//! Arms of the wrong types are told by what is wrong with them.

use weftwork_csp::{select, unbounded};

fn main() {
    let (s, r) = unbounded::<u32>();
    select! { recv(s) -> _ => {} }
    select! { send(r, 1) -> _ => {} }
    select! { recv(r) if r.len() -> _ => {} }
    select! { recv(r) -> n => n, default => 0 };
}
