//! Task-local values: one per task and key, whatever threads the task runs on.

use crate::worker;
use std::any::TypeId;
use std::fmt;
use weftwork_core::task::Locals;

/// A key to a value that every task has for itself, made by [`task_local!`](crate::task_local).
///
/// The value is made at the task's first use and dropped when the task ends. On a thread that runs
/// no task it is the thread's own.
pub struct LocalKey<T: 'static> {
    #[doc(hidden)]
    pub init: fn() -> T,
    #[doc(hidden)]
    pub key: fn() -> TypeId,
}

thread_local! {
    static OUTSIDE: Locals = Locals::default();
}

impl<T: Send + 'static> LocalKey<T> {
    /// Calls `f` with the current task's value.
    ///
    /// The stolen half of a [`join`](crate::join) has no task of its own: it sees the value of the
    /// thread it runs on.
    ///
    /// # Panics
    /// If `init` or `f` does.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        let key = (self.key)();
        match worker::with(|worker| worker.and_then(|worker| worker.current_task())) {
            // SAFETY: the current task is being run, by us, until `f` has returned.
            Some(task) => unsafe { task.locals() }.with(key, self.init, f),
            None => OUTSIDE.with(|locals| locals.with(key, self.init, f)),
        }
    }

    /// Copies the current task's value out.
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(|value| *value)
    }
}

impl<T> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

/// Declares task-local values, in the form of [`std::thread_local!`].
///
/// ```
/// use std::cell::Cell;
///
/// weftwork_sched::task_local! {
///     static DEPTH: Cell<u32> = Cell::new(0);
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build().unwrap();
/// rt.run(|| {
///     DEPTH.with(|depth| depth.set(7));
///     let other = weftwork_sched::spawn(|| DEPTH.with(Cell::get)).join().unwrap();
///     assert_eq!((DEPTH.with(Cell::get), other), (7, 0));
/// });
/// ```
#[macro_export]
macro_rules! task_local {
    ($($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = $init:expr);+ $(;)?) => {
        $(
            $(#[$attr])*
            $vis static $name: $crate::LocalKey<$t> = {
                struct Key;
                $crate::LocalKey {
                    init: || $init,
                    key: || ::std::any::TypeId::of::<Key>(),
                }
            };
        )+
    };
}
