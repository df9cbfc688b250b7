//! The safe, asymmetric coroutine: a closure that can be suspended in the middle.
//!
//! Everything a fiber needs besides its stack lies at the top of that stack, so that creating one
//! allocates nothing else:
//!
//! ```text
//!   top        +-----------------------------+
//!              | body: the closure           |  until it starts
//!              | result                      |
//!              | suspender: input, yielded,  |
//!              |   phase, own context,       |
//!   base     ->|   the resumer's context     |  = frame record of the linked base
//!              +-----------------------------+
//!              | frames ...                  |
//! ```
//!
//! Invariants:
//!
//! 1. `phase` tells who may touch what. `Fresh`: the body is present and nothing runs on the stack.
//!    `Running`: only the fiber, or what it resumes, runs; the resumer waits in its switch.
//!    `Suspended`: the fiber waits in its switch. `Finished`: nothing will ever run on the stack
//!    again, and `result` is set until the resumer takes it.
//! 2. A stack goes back to its pool only in `Fresh` or `Finished`. A suspended fiber is unwound
//!    first; if that is impossible (`panic = "abort"`), or the fiber is forgotten, the stack is never
//!    used again.
//! 3. A fiber stays on its thread: it is not `Send`.
//! 4. A fiber may be forgotten while it is suspended, so that destructors and scopes on its stack
//!    never end. Hence neither the closure nor what passes through a fiber may borrow anything
//!    (`'static`): a scope inside the fiber might have lent it to another thread.

mod state;
mod suspender;

use core::any::Any;
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::mem::{self, ManuallyDrop};
use core::ptr::{self, NonNull};
use std::panic::{self, AssertUnwindSafe};
use std::thread;

pub use state::{FiberError, FiberState};
pub use suspender::Suspender;

use crate::context::{switch, switch_final};
use crate::stack::{SizeClass, Stack, StackError, StackPool};
use suspender::{ForcedUnwind, Phase};

/// Runs a closure on a stack of its own, from which it can be suspended and resumed.
///
/// [`Fiber::resume`] passes an `Input` in and runs the closure until it passes a `Yield` out by
/// [`Suspender::suspend`], or ends with a `Return`. A panic in the closure goes on in whoever
/// resumed it.
///
/// Dropping a suspended fiber unwinds it: the call of `suspend` in which it waits panics with a
/// private payload (without the panic hook's message), so that all destructors on its stack run. A
/// fiber that catches that panic and suspends again is made to panic again, so a fiber that does
/// both in an endless loop hangs the drop. If the program is built with `panic = "abort"`, there is
/// no unwinding: the stack and all that is on it is leaked instead.
///
/// A fiber cannot be sent to another thread, since code keeps addresses of thread-local variables
/// across calls.
///
/// # Examples
///
/// ```
/// use weftwork_fiber::{Fiber, FiberState, Suspender};
///
/// let mut average = Fiber::new(|suspender: &Suspender<f64, f64>, first| {
///     let (mut sum, mut count) = (first, 1.0);
///     while count < 3.0 {
///         sum += suspender.suspend(sum / count);
///         count += 1.0;
///     }
///     sum / count
/// })?;
/// assert_eq!(average.resume(1.0), FiberState::Yield(1.0));
/// assert_eq!(average.resume(3.0), FiberState::Yield(2.0));
/// assert_eq!(average.resume(5.0), FiberState::Return(3.0));
/// # Ok::<(), weftwork_fiber::StackError>(())
/// ```
///
/// It does not cross threads:
///
/// ```compile_fail
/// let fiber = weftwork_fiber::Fiber::new(|_: &weftwork_fiber::Suspender<(), ()>, ()| ()).unwrap();
/// std::thread::spawn(move || drop(fiber));
/// ```
///
/// and borrows nothing:
///
/// ```compile_fail
/// let local = String::new();
/// let borrow = &local;
/// weftwork_fiber::Fiber::new(move |_: &weftwork_fiber::Suspender<(), ()>, ()| borrow.len());
/// ```
pub struct Fiber<Input: 'static, Yield: 'static, Return: 'static> {
    /// Given back only as invariant 2 says.
    stack: ManuallyDrop<Stack>,
    base: NonNull<Base<Input, Yield, Return>>,
}

/// What lies at the top of the stack, but for the closure.
#[repr(C)]
struct Base<Input, Yield, Return> {
    suspender: Suspender<Input, Yield>,
    result: Cell<Option<thread::Result<Return>>>,
    /// Drops the body of a fresh fiber.
    drop_body: unsafe fn(NonNull<Base<Input, Yield, Return>>),
}

/// The same with the closure.
#[repr(C)]
struct BaseWithBody<Input, Yield, Return, Body> {
    base: Base<Input, Yield, Return>,
    /// Present in the phase `Fresh`.
    body: UnsafeCell<ManuallyDrop<Body>>,
}

/// What must be left for the fiber's own frames.
const LEAST_ROOM: usize = 8 * 1024;

impl<Input: 'static, Yield: 'static, Return: 'static> Fiber<Input, Yield, Return> {
    /// Creates a fiber on a stack of the default size from the global pool.
    ///
    /// `body` gets the suspender and the first input. It starts at the first [`Fiber::resume`].
    ///
    /// # Errors
    ///
    /// The reason why there is no stack, together with `body`.
    pub fn new<Body>(body: Body) -> Result<Self, FiberError<Body>>
    where
        Body: FnOnce(&Suspender<Input, Yield>, Input) -> Return + 'static,
    {
        match StackPool::global().allocate(SizeClass::default()) {
            Ok(stack) => Fiber::with_stack(stack, body),
            Err(reason) => Err(FiberError::new(reason, body, None)),
        }
    }

    /// Creates a fiber on a given stack.
    ///
    /// # Errors
    ///
    /// [`StackError::TooSmall`] if `body`, the input and the results do not fit on the stack,
    /// together with `body` and `stack`.
    pub fn with_stack<Body>(stack: Stack, body: Body) -> Result<Self, FiberError<Body>>
    where
        Body: FnOnce(&Suspender<Input, Yield>, Input) -> Return + 'static,
    {
        type Start<I, Y, R, B> = BaseWithBody<I, Y, R, B>;
        let size = size_of::<Start<Input, Yield, Return, Body>>();
        let align = align_of::<Start<Input, Yield, Return, Body>>().max(16);
        let needed = size.saturating_add(align).saturating_add(LEAST_ROOM);
        if needed > stack.usable() {
            let reason = StackError::TooSmall {
                needed,
                usable: stack.usable(),
            };
            return Err(FiberError::new(reason, body, Some(stack)));
        }
        let top = stack.top().as_ptr();
        let start = top
            .wrapping_sub(size)
            .map_addr(|address| address & !(align - 1));
        let start = start.cast::<Start<Input, Yield, Return, Body>>();
        let fresh = BaseWithBody {
            base: Base {
                suspender: Suspender::new(),
                result: Cell::new(None),
                drop_body: drop_body::<Input, Yield, Return, Body>,
            },
            body: UnsafeCell::new(ManuallyDrop::new(body)),
        };
        // SAFETY: `start` is aligned, and lies with its size inside the usable part of the stack,
        // as was checked; the stack is ours alone.
        unsafe { start.write(fresh) };
        // SAFETY: written above; nobody has a mutable reference to it.
        let suspender = unsafe { &(*start).base.suspender };
        // SAFETY: the stack below `start` is free and ours until the fiber is finished, with room
        // for `LEAST_ROOM`; the resumer's context lies on the stack and so lives as long. Nothing
        // was suspended in the new context.
        unsafe {
            suspender.own.prepare_linked(
                start.cast(),
                stack.limit(),
                enter::<Input, Yield, Return, Body>,
                start.cast(),
                &suspender.resumer,
            );
        }
        let base = NonNull::new(start.cast()).expect("a stack does not lie at address zero");
        Ok(Fiber {
            stack: ManuallyDrop::new(stack),
            base,
        })
    }

    /// Runs the fiber until it suspends itself or ends.
    ///
    /// # Panics
    ///
    /// If the fiber has finished (by returning or by a panic): ask [`Fiber::is_finished`] before. If
    /// the fiber panics, that panic goes on here, and the fiber is finished.
    #[track_caller]
    pub fn resume(&mut self, input: Input) -> FiberState<Yield, Return> {
        let base = self.base();
        match base.suspender.phase.get() {
            Phase::Fresh | Phase::Suspended => {}
            Phase::Finished => panic!(
                "resume of a fiber that has finished: the caller must not resume it after \
                 `Return` or a panic"
            ),
            Phase::Running => panic!("resume of a fiber that is running: the caller must wait"),
        }
        base.suspender.input.set(Some(input));
        // SAFETY: the phase was checked.
        unsafe { self.run() };
        let base = self.base();
        if base.suspender.phase.get() == Phase::Suspended {
            let value = base.suspender.yielded.take();
            return FiberState::Yield(value.expect("a suspended fiber has yielded a value"));
        }
        match base.result.take().expect("a finished fiber has a result") {
            Ok(value) => FiberState::Return(value),
            Err(payload) => panic::resume_unwind(payload),
        }
    }

    /// Returns whether the fiber has ended, by returning or by a panic.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.base().suspender.phase.get() == Phase::Finished
    }

    /// Returns whether the fiber was resumed at least once.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.base().suspender.phase.get() != Phase::Fresh
    }

    /// Returns the stack on which the fiber runs.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Ends the fiber as dropping it does, and returns the stack for another use.
    ///
    /// Returns `None` if the fiber is suspended and cannot be unwound (`panic = "abort"`).
    ///
    /// # Panics
    ///
    /// If a destructor on the fiber's stack panics; the stack then goes back to its pool.
    #[must_use = "dropping the fiber gives the stack back to its pool"]
    pub fn into_stack(self) -> Option<Stack> {
        let mut fiber = ManuallyDrop::new(self);
        // SAFETY: the fiber is not used or dropped after this.
        unsafe { fiber.end() }
    }

    fn base(&self) -> &Base<Input, Yield, Return> {
        // SAFETY: written by `with_stack`, and valid as long as the stack is. All fields are cells
        // or do not change, so that the fiber's own references to it do no harm.
        unsafe { self.base.as_ref() }
    }

    /// Switches to the fiber until it comes back.
    ///
    /// # Safety
    ///
    /// The fiber is fresh or suspended.
    unsafe fn run(&mut self) {
        let suspender = &self.base().suspender;
        suspender.phase.set(Phase::Running);
        suspender.resumer_panicking.set(thread::panicking());
        // SAFETY: both contexts lie at the top of the stack, which outlives the switch. The fiber
        // is fresh or suspended, says the caller, and on this thread, for it is not `Send`. Code
        // around this call can hold nothing that the fiber may not meet: it has no borrows.
        unsafe { switch(&suspender.resumer, &suspender.own) };
    }

    /// Brings the fiber to its end, drops what lies at its base and returns the stack, or `None` if
    /// the fiber cannot be unwound.
    ///
    /// # Safety
    ///
    /// The fiber is not used or dropped afterwards.
    unsafe fn end(&mut self) -> Option<Stack> {
        match self.base().suspender.phase.get() {
            Phase::Finished => {}
            Phase::Fresh => {
                self.base().suspender.phase.set(Phase::Finished);
                let drop_body = self.base().drop_body;
                let body = AssertUnwindSafe(|| {
                    // SAFETY: the phase was `Fresh`, so the body is present, and nobody else drops
                    // it.
                    unsafe { drop_body(self.base) };
                });
                self.base()
                    .result
                    .set(panic::catch_unwind(body).err().map(Err));
            }
            Phase::Suspended if cfg!(panic = "abort") => return None,
            Phase::Suspended => {
                self.base().suspender.unwinding.set(true);
                // SAFETY: the phase was checked.
                unsafe { self.run() };
            }
            Phase::Running => {
                // Safe code cannot drop what `resume` borrows.
                eprintln!("weftwork: a running fiber was dropped: unsafe code broke its contract");
                std::process::abort();
            }
        }
        let result = self.base().result.take();
        // SAFETY: the fiber has ended, so that nobody else refers to the base; it is dropped once,
        // for the caller does not use the fiber any more. The body was consumed or dropped.
        unsafe { ptr::drop_in_place(self.base.as_ptr()) };
        // SAFETY: taken once, as above.
        let stack = unsafe { ManuallyDrop::take(&mut self.stack) };
        match result {
            Some(Err(payload)) if !is_forced(&*payload) => {
                drop(stack);
                if thread::panicking() {
                    // Two panics cannot go on at once. This one has been reported by the hook.
                    mem::forget(payload);
                    None
                } else {
                    panic::resume_unwind(payload)
                }
            }
            _ => Some(stack),
        }
    }
}

fn is_forced(payload: &(dyn Any + Send)) -> bool {
    payload.is::<ForcedUnwind>()
}

impl<Input, Yield, Return> Drop for Fiber<Input, Yield, Return> {
    fn drop(&mut self) {
        // SAFETY: this is the drop.
        drop(unsafe { self.end() });
    }
}

impl<Input, Yield, Return> fmt::Debug for Fiber<Input, Yield, Return> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fiber")
            .field("phase", &self.base().suspender.phase.get())
            .field("stack", &*self.stack)
            .finish()
    }
}

/// A fiber that takes nothing in and returns nothing is an iterator over what it yields.
///
/// # Examples
///
/// ```
/// use weftwork_fiber::{Fiber, Suspender};
///
/// let squares = Fiber::new(|suspender: &Suspender<(), u32>, ()| {
///     for number in 1..4 {
///         suspender.suspend(number * number);
///     }
/// })?;
/// assert_eq!(squares.collect::<Vec<_>>(), [1, 4, 9]);
/// # Ok::<(), weftwork_fiber::StackError>(())
/// ```
impl<Yield> Iterator for Fiber<(), Yield, ()> {
    type Item = Yield;

    fn next(&mut self) -> Option<Yield> {
        if self.is_finished() {
            return None;
        }
        match self.resume(()) {
            FiberState::Yield(value) => Some(value),
            FiberState::Return(()) => None,
        }
    }
}

impl<Yield> core::iter::FusedIterator for Fiber<(), Yield, ()> {}

/// The first function on a fiber's stack.
unsafe extern "C" fn enter<Input, Yield, Return, Body>(start: *mut ()) -> !
where
    Body: FnOnce(&Suspender<Input, Yield>, Input) -> Return,
{
    // SAFETY: `with_stack` passes the address of what it wrote, which lives as long as the stack.
    let start = unsafe { &*start.cast::<BaseWithBody<Input, Yield, Return, Body>>() };
    let suspender = &start.base.suspender;
    // The body is taken as late as possible: it may be large, and each move copies it.
    let call = || {
        // SAFETY: the body is present until the fiber starts, which it does once; nobody refers to
        // it.
        let body = unsafe { ManuallyDrop::take(&mut *start.body.get()) };
        body(
            suspender,
            suspender
                .input
                .take()
                .expect("a resumed fiber has an input"),
        )
    };
    start
        .base
        .result
        .set(Some(panic::catch_unwind(AssertUnwindSafe(call))));
    suspender.phase.set(Phase::Finished);
    // SAFETY: the resumer waits in `run`, and nobody resumes a finished fiber. The closure and the
    // input were moved into the call, and the result out of it: this frame owns nothing.
    unsafe { switch_final(&suspender.own, &suspender.resumer) }
}

/// # Safety
///
/// `base` is the beginning of a `BaseWithBody<_, _, _, Body>` whose body is present, and nobody
/// uses or drops that body afterwards.
unsafe fn drop_body<Input, Yield, Return, Body>(base: NonNull<Base<Input, Yield, Return>>) {
    // SAFETY: the caller's promise.
    unsafe {
        let start = base
            .cast::<BaseWithBody<Input, Yield, Return, Body>>()
            .as_ref();
        ManuallyDrop::drop(&mut *start.body.get());
    }
}
