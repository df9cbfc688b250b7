//! The pattern of an arm must match every result.

use weftwork_csp::{select, unbounded};

fn main() {
    let (_s, r) = unbounded::<u32>();
    select! { recv(r) -> Ok(n) => drop::<u32>(n) }
}
