//! A handle whose messages must stay on their thread stays there, too.

use std::rc::Rc;
use weftwork_csp::unbounded;

fn main() {
    let (s, _r) = unbounded::<Rc<()>>();
    std::thread::spawn(move || {
        let _ = s.send(Rc::new(()));
    });
}
