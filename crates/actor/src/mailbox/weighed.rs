//! Letters with a load, for mailboxes that are bounded by bytes: an envelope around the letter.
//!
//! Mailboxes that count messages alone, most of them, hold none of these, and their letters no weight.

use super::letter::{Class, Delivery, Kind, Letter};
use super::limit::Load;
use super::priority::Priority;
use crate::cell::CellRef;

struct Weighed {
    load: Load,
    letter: Letter,
}

static CLASSES: [Class; 4] = [
    class(Priority::Low),
    class(Priority::Normal),
    class(Priority::High),
    class(Priority::Urgent),
];

const fn class(priority: Priority) -> Class {
    Class {
        kind: Kind::Message(priority),
        name: None,
        deliver,
        discard: Letter::discard::<Weighed>,
    }
}

/// # Safety
/// As for `accept::deliver`; the letter is one of `wrap`.
unsafe fn deliver(letter: Letter, cell: &CellRef) -> Delivery {
    let (_, letter) = open(letter);
    let deliver = letter.class().deliver;
    // SAFETY: the same contract; the letter inside was made for the same actor.
    unsafe { deliver(letter, cell) }
}

/// Puts a load on a letter with a message.
pub(crate) fn wrap(letter: Letter, load: Load) -> Letter {
    match letter.class().kind {
        Kind::Message(priority) => {
            Letter::new(&CLASSES[priority as usize], Weighed { load, letter })
        }
        Kind::Signal => letter,
    }
}

/// Looks at the letter, and its load if it has one.
#[cfg(all(feature = "testing", not(weftwork_loom)))]
pub(crate) fn peek(letter: &Letter) -> (Load, &Letter) {
    if !is_weighed(letter) {
        return (Load::ONE, letter);
    }
    // SAFETY: only `wrap` makes letters of these classes, of this.
    let weighed = unsafe { letter.peek::<Weighed>() };
    (weighed.load, &weighed.letter)
}

fn is_weighed(letter: &Letter) -> bool {
    CLASSES
        .as_ptr_range()
        .contains(&std::ptr::from_ref(letter.class()))
}

/// Takes the load off, if the letter has one.
pub(crate) fn open(letter: Letter) -> (Load, Letter) {
    if !is_weighed(&letter) {
        return (Load::ONE, letter);
    }
    // SAFETY: only `wrap` makes letters of these classes, of this.
    let weighed = unsafe { letter.open::<Weighed>() };
    (weighed.load, weighed.letter)
}
