//! What few tasks have and most should not pay for: a name, and task-local values.

use crate::sync::atomic::{AtomicPtr, Ordering};
use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::fmt;
use std::panic::Location;

/// What a spawner says about a task besides the work itself.
#[derive(Debug, Clone)]
pub struct Meta {
    name: Option<Box<str>>,
    location: &'static Location<'static>,
}

impl Meta {
    /// An unnamed task, spawned at the caller's line.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        Meta {
            name: None,
            location: Location::caller(),
        }
    }

    /// An unnamed task, spawned at `location`.
    #[must_use]
    pub const fn at(location: &'static Location<'static>) -> Self {
        Meta {
            name: None,
            location,
        }
    }

    /// Names the task. Names need not be unique; reports show them beside the number.
    #[must_use]
    pub fn named(mut self, name: impl Into<Box<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name, if one was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn into_parts(self) -> (ExtSlot, &'static Location<'static>) {
        (ExtSlot::new(self.name), self.location)
    }
}

impl Default for Meta {
    #[track_caller]
    fn default() -> Self {
        Meta::new()
    }
}

/// A pointer to the extension, or null while nobody needed one.
///
/// 1. The pointer goes from null to its one value at most once, by the runner or at creation.
/// 2. `name` never changes after creation; `locals` is touched by the runner alone.
pub(super) struct ExtSlot(AtomicPtr<Ext>);

pub(super) struct Ext {
    pub(super) name: Option<Box<str>>,
    pub(super) locals: Locals,
}

impl ExtSlot {
    fn new(name: Option<Box<str>>) -> Self {
        ExtSlot(AtomicPtr::new(match name {
            None => std::ptr::null_mut(),
            name => Box::into_raw(Box::new(Ext {
                name,
                locals: Locals::default(),
            })),
        }))
    }

    pub(super) fn get(&self) -> Option<&Ext> {
        // Acquire: pairs with the release in `get_or_init`.
        let pointer = self.0.load(Ordering::Acquire);
        // SAFETY: a non-null pointer came from `Box::into_raw` and is freed only by `drop`, which
        // has exclusive access.
        unsafe { pointer.as_ref() }
    }

    /// For the runner alone (invariant 1).
    pub(super) fn get_or_init(&self) -> &Ext {
        if let Some(ext) = self.get() {
            return ext;
        }
        let fresh = Box::into_raw(Box::new(Ext {
            name: None,
            locals: Locals::default(),
        }));
        // Release: pairs with the acquire in `get`.
        self.0.store(fresh, Ordering::Release);
        // SAFETY: just made by `Box::into_raw`; freed only by `drop`.
        unsafe { &*fresh }
    }
}

impl Drop for ExtSlot {
    fn drop(&mut self) {
        // Acquire: pairs with the release in `get_or_init`.
        let pointer = self.0.load(Ordering::Acquire);
        if !pointer.is_null() {
            // SAFETY: from `Box::into_raw`, and nobody else has access any more.
            drop(unsafe { Box::from_raw(pointer) });
        }
    }
}

/// The task-local values of one task, by the type of their key.
#[derive(Default)]
pub struct Locals(RefCell<Vec<(TypeId, Box<dyn Any + Send>)>>);

impl Locals {
    /// Calls `f` with the value of `key`, making it with `init` at the first use.
    ///
    /// `init` and `f` run with nothing borrowed, so they may use task-locals. If `init` uses the same
    /// key, the value it made there stays and its own is dropped.
    ///
    /// # Panics
    /// If `key` was used with another type before: a key stands for one type.
    pub fn with<T: Send + 'static, R>(
        &self,
        key: TypeId,
        init: impl FnOnce() -> T,
        f: impl FnOnce(&T) -> R,
    ) -> R {
        let find = |slots: &Vec<(TypeId, Box<dyn Any + Send>)>| {
            slots
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, v)| std::ptr::from_ref(v.downcast_ref::<T>().expect("one type per key")))
        };
        let found = find(&self.0.borrow());
        let value = found.unwrap_or_else(|| {
            let fresh: Box<dyn Any + Send> = Box::new(init());
            let mut slots = self.0.borrow_mut();
            // `init` may have used the same key: the first value stays.
            if find(&slots).is_none() {
                slots.push((key, fresh));
            }
            find(&slots).expect("just put there")
        });
        // SAFETY: the value is boxed, so it stays where it is when the list grows, and it is
        // removed only by `take` at the end of the task, which is running `f`.
        f(unsafe { &*value })
    }

    /// Takes all values out, to drop them when the task ends.
    pub(super) fn take(&self) -> impl Iterator<Item: Sized> + use<> {
        self.0.take().into_iter()
    }
}

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locals").finish_non_exhaustive()
    }
}
