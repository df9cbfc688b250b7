//! The sender's hook: a letter that calls it when it is discarded unopened.

use crate::accept::{self, Accepts};
use crate::actor::Actor;
use crate::addr::Addr;
use crate::cell::CellRef;
use crate::dead_letters::{Cause, report};
use crate::mailbox::letter::{Class, Delivery, Kind, Letter};
use crate::reply::Back;
use crate::send::{self, Verdict};
use std::any::type_name;
use std::marker::PhantomData;

/// A message, and who gets it back. Dropped with the message inside, it calls.
struct Hooked<M, F: FnOnce(M)> {
    inside: Option<(M, F)>,
}

impl<M, F: FnOnce(M)> Drop for Hooked<M, F> {
    fn drop(&mut self) {
        if let Some((message, hook)) = self.inside.take() {
            hook(message);
        }
    }
}

struct ClassOf<A, M, K, F>(PhantomData<fn(A, M, K, F)>);

impl<A, M, K, F> ClassOf<A, M, K, F>
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
    F: FnOnce(M) + Send + 'static,
{
    const CLASS: Class = Class {
        kind: Kind::Message(A::RANK),
        name: Some(type_name::<M>),
        deliver: deliver::<A, M, K, F>,
        discard: Letter::discard::<Hooked<M, F>>,
    };
}

/// # Safety
/// As for `accept::deliver`; the letter is of the class above.
unsafe fn deliver<A, M, K, F>(letter: Letter, cell: &CellRef) -> Delivery
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
    F: FnOnce(M) + Send + 'static,
{
    // SAFETY: letters of this class hold this.
    let mut hooked = unsafe { letter.open::<Hooked<M, F>>() };
    let Some((message, hook)) = hooked.inside.take() else {
        return Delivery::Done;
    };
    drop(hook);
    let letter = accept::letter::<A, M, K>(message, Back::none());
    let deliver = letter.class().deliver;
    // SAFETY: the same contract; the letter was made for an `A` just now.
    unsafe { deliver(letter, cell) }
}

impl<A: Actor> Addr<A> {
    /// Sends a message as [`tell`](Self::tell) does; if it is never handled, `undelivered` gets it back,
    /// once: at once if it does not get in, or when the mailbox drops it, or when the actor ends before its
    /// turn comes.
    ///
    /// Then `undelivered` runs in the task of the actor that did not handle it, or of a sender that made
    /// room; it should do little, such as telling somebody, and wait for nothing: in the task of an actor that
    /// was killed a wait unwinds, and so does a call that might wait. The `try_` forms do not. A panic in it is
    /// lost.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use std::time::Duration;
    /// use weftwork_actor::introspect;
    ///
    /// let echo = start::<Echo>(rt.handle(), (), Options::new())?;
    /// introspect::suspend(&echo.pid(), Duration::from_secs(1))?;
    /// let (back, returned) = weftwork_csp::unbounded();
    /// echo.tell_or_return(7, move |n| back.try_send(n).unwrap());
    /// echo.kill();
    /// assert_eq!(returned.recv(), Ok(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn tell_or_return<M, K>(&self, message: M, undelivered: impl FnOnce(M) + Send + 'static)
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        self.post_hooked(message, undelivered);
    }

    #[track_caller]
    fn post_hooked<M, K, F>(&self, message: M, undelivered: F)
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
        F: FnOnce(M) + Send + 'static,
    {
        let cell = self.cell();
        let load = send::load::<A, M, K>(cell, &message);
        match send::admit(cell, load, None) {
            Verdict::Push => {
                let hooked = Hooked {
                    inside: Some((message, undelivered)),
                };
                let class = const { &ClassOf::<A, M, K, F>::CLASS };
                // If it has ended meanwhile the letter comes back, and its drop calls.
                drop(send::push(cell, Letter::new(class, hooked), load));
            }
            Verdict::Drop => {
                report(cell, type_name::<M>(), Cause::Full);
                undelivered(message);
            }
            Verdict::Refuse(_) | Verdict::Wait => undelivered(message),
        }
    }
}
