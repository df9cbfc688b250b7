//! Catching the panics of user code, with their place.
//!
//! A caught payload does not know where it was thrown; the panic hook does. So the first actor of the
//! process puts a hook in front of the one that is there, which notes the place for its thread and passes
//! the panic on. A program that sets a hook of its own afterwards loses the places and nothing else.

use crate::reason::{Panic, Reason};
use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};
use weftwork_core::wait::cancel::is_cancel_unwind;

thread_local! {
    /// The place of the last panic of this thread, as text of the file, line and column.
    static LAST: RefCell<Option<(Box<str>, u32, u32)>> = const { RefCell::new(None) };
}

/// Puts the hook in place, once in the process.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if let Some(at) = info.location() {
                // An error says that the thread is ending; a borrow, that a drop in here panicked.
                let _ = LAST.try_with(|last| {
                    if let Ok(mut last) = last.try_borrow_mut() {
                        *last = Some((at.file().into(), at.line(), at.column()));
                    }
                });
            }
            before(info);
        }));
    });
}

/// Runs user code; a panic becomes the reason to end with.
pub(crate) fn catch<T>(code: impl FnOnce() -> T) -> Result<T, Reason> {
    catch_unwind(AssertUnwindSafe(code)).map_err(into_reason)
}

/// Drops a value of the user's; a panic of the drop becomes a reason.
pub(crate) fn drop_caught<T>(value: T) -> Result<(), Reason> {
    catch(|| drop(value))
}

/// The reason for a payload. One that unwinds a cancelled task is that of a killed actor.
pub(crate) fn into_reason(payload: Box<dyn Any + Send>) -> Reason {
    let location = LAST
        .try_with(|last| last.borrow_mut().take())
        .ok()
        .flatten();
    if is_cancel_unwind(&*payload) {
        return Reason::Killed;
    }
    let message: Box<str> = match payload.downcast_ref::<&'static str>() {
        Some(text) => (*text).into(),
        None => match payload.downcast_ref::<String>() {
            Some(text) => text.as_str().into(),
            None => "a payload without text".into(),
        },
    };
    discard(payload);
    Reason::Panic(Arc::new(Panic::at(message, location)))
}

/// Drops a payload, whose drop may panic with another one, and so on; after some rounds the last is
/// forgotten.
fn discard(mut payload: Box<dyn Any + Send>) {
    const ROUNDS: usize = 8;
    for _ in 0..ROUNDS {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    std::mem::forget(payload);
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_reason_with_text_and_place() {
        install();
        let line = line!() + 1;
        let Err(Reason::Panic(panic)) = catch(|| panic!("at {}", 7)) else {
            panic!("it was caught")
        };
        assert_eq!(panic.message(), "at 7");
        let (file, at, _) = panic.location().expect("the hook noted it");
        assert!(file.ends_with("panics.rs"));
        assert_eq!(at, line);
    }

    #[test]
    fn a_payload_whose_drop_panics_is_a_reason_too() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("in the drop of the payload");
            }
        }
        let caught = catch(|| panic::panic_any(Bomb));
        assert!(caught.unwrap_err().is_panic());
    }
}
