//! A message is gone after its arm was chosen.

use weftwork_csp::{never, select, unbounded};

fn main() {
    let (s, _r) = unbounded();
    let message = String::from("message");
    select! {
        send(s, message) -> _ => drop(message),
        recv(never::<()>()) -> _ => drop(message),
    }

    let message = String::from("message");
    select! {
        send(s, message) -> _ => {}
        recv(never::<()>()) -> _ => {}
    }
    drop(message);
}
